#include "pipeline/rewrite_text.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>

#include "daguerre/pipeline/prompt_rewriter.hpp"
#include "daguerre/text/extra_networks.hpp"
#include "daguerre/text/unicode.hpp"

namespace daguerre {
namespace {

bool is_text_blank(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

std::string_view without_blank_ends(std::string_view text) {
  while (!text.empty() && is_text_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_text_blank(text.back())) text.remove_suffix(1);
  return text;
}

/// Runs of white space as one space, without those at the ends.
std::string in_one_line(std::string_view text) {
  std::string result;
  for (const char c : without_blank_ends(text)) {
    if (!is_text_blank(c))
      result += c;
    else if (result.back() != ' ')
      result += ' ';
  }
  return result;
}

std::string in_small_letters(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

bool has_weights(PromptSyntax syntax) {
  return syntax == PromptSyntax::a1111 || syntax == PromptSyntax::comfyui;
}

/// The text without tags, which go to `tags`.
std::string without_tags(std::string_view text, std::vector<std::string>* tags) {
  std::string result;
  while (!text.empty()) {
    const auto begin = text.find('<');
    result += text.substr(0, begin);
    if (begin == text.npos) break;
    text.remove_prefix(begin);
    const auto end = std::min(text.find('<', 1), text.find('>'));
    const bool closed = end != text.npos && text[end] == '>';
    const auto candidate = closed ? text.substr(0, end + 1) : text.substr(0, 1);
    const bool is_tag = closed && !text::take_extra_networks(candidate).networks.empty();
    if (!is_tag)
      result += candidate;
    else if (tags != nullptr)
      tags->emplace_back(candidate);
    text.remove_prefix(candidate.size());
  }
  return result;
}

/// Where the bracket at `begin` closes; npos: nowhere.
std::size_t closing(std::string_view text, std::size_t begin) {
  std::string open;
  for (auto i = begin; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
    } else if (c == '(' || c == '[') {
      open += c;
    } else if (c == ')' || c == ']') {
      if (open.back() != (c == ')' ? '(' : '[')) return text.npos;
      open.pop_back();
      if (open.empty()) return i;
    }
  }
  return text.npos;
}

/// The words in brackets: without these and weights. Nothing where they change from step to step.
std::string words_in(std::string_view piece) {
  std::string result;
  for (std::size_t i = 0; i < piece.size(); ++i) {
    const char c = piece[i];
    if (c == '|') return "";
    if (c == ':') {
      const auto end = piece.find_first_not_of(" 0123456789.+-", i + 1);
      if (end == piece.npos || piece[end] != ')') return "";
      i = end - 1;
    } else if (c == '\\' && i + 1 < piece.size()) {
      result += piece[++i];
    } else if (c != '(' && c != ')' && c != '[' && c != ']') {
      result += c;
    }
  }
  return in_one_line(result);
}

SeparatedPrompt::Segment segment_of(std::string_view text) {
  SeparatedPrompt::Segment segment;
  std::string words;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto end = text[i] == '(' || text[i] == '[' ? closing(text, i) : text.npos;
    if (end != text.npos) {
      const auto piece = text.substr(i, end + 1 - i);
      segment.pieces.emplace_back(std::string(piece), words_in(piece));
      words += segment.pieces.back().second;
      i = end;
    } else if (text[i] == '\\' && i + 1 < text.size()) {
      words += text[++i];
    } else {
      words += text[i];
    }
  }
  segment.words = in_one_line(words);
  return segment;
}

/// The next BREAK or AND that is a word of its own.
std::pair<std::size_t, std::string> next_joint(std::string_view text, std::size_t begin) {
  std::pair<std::size_t, std::string> first{text.npos, ""};
  for (const std::string word : {"BREAK", "AND"})
    for (auto at = text.find(word, begin); at != text.npos; at = text.find(word, at + 1)) {
      const auto is_word = [&](std::size_t i) {
        return i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) != 0 || text[i] == '_' ||
                                   (text[i] & 0x80) != 0);
      };
      if ((at > 0 && is_word(at - 1)) || is_word(at + word.size())) continue;
      if (at < first.first) first = {at, word};
      break;
    }
  return first;
}

/// "Prompt:", "Here is the rewritten prompt:" …
std::string_view without_introduction(std::string_view text) {
  static constexpr std::array<std::string_view, 16> names = {
      "prompt",          "rewritten prompt", "new prompt",        "expanded prompt",
      "improved prompt", "image prompt",     "detailed prompt",   "final prompt",
      "output",          "answer",           "caption",           "translation",
      "result",          "response",         "translated prompt", "description"};
  static constexpr std::array<std::string_view, 6> beginnings = {"here is", "here's",    "here are",
                                                                 "sure",    "certainly", "of course"};
  const auto line = text.substr(0, text.find('\n'));
  const auto colon = line.find(':');
  if (colon == line.npos || colon > 120) return text;
  std::string head = in_small_letters(line.substr(0, colon));
  head.erase(
      std::remove_if(head.begin(), head.end(), [](char c) { return c == '*' || c == '#' || c == '"'; }),
      head.end());
  head = std::string(without_blank_ends(head));
  const bool introduces =
      std::find(names.begin(), names.end(), head) != names.end() ||
      std::any_of(beginnings.begin(), beginnings.end(), [&](auto begin) { return head.starts_with(begin); });
  if (!introduces) return text;
  auto rest = text.substr(colon + 1);
  while (rest.starts_with("**")) rest.remove_prefix(2);
  const auto left = without_blank_ends(rest);
  return left.empty() ? text : left;
}

/// Without quotes around the whole.
std::string_view without_quotes(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 9> quotes = {
      {{"```", "```"},
       {"**", "**"},
       {"\"", "\""},
       {"'", "'"},
       {"`", "`"},
       {"\u201C", "\u201D"},
       {"\u00AB", "\u00BB"},
       {"\u300C", "\u300D"},
       {"\u2018", "\u2019"}}};
  for (const auto& [begin, end] : quotes)
    if (text.size() > begin.size() + end.size() && text.starts_with(begin) && text.ends_with(end)) {
      const auto inner = text.substr(begin.size(), text.size() - begin.size() - end.size());
      if (inner.find(begin) == inner.npos && inner.find(end) == inner.npos) return without_blank_ends(inner);
    }
  return text;
}

std::string without_thoughts(std::string text) {
  if (const auto end = text.rfind("</think>"); end != text.npos) return text.substr(end + 8);
  if (const auto begin = text.find("<think>"); begin != text.npos)
    text.resize(begin);  // it never came to an end
  return text;
}

/// Without "- ", "1. ", "2) " in front.
std::string_view without_bullet(std::string_view line) {
  line = without_blank_ends(line);
  std::size_t digits = 0;
  while (digits < line.size() && line[digits] >= '0' && line[digits] <= '9') ++digits;
  if (digits > 0 && digits < 3 && line.size() > digits + 1 && (line[digits] == '.' || line[digits] == ')') &&
      line[digits + 1] == ' ')
    return without_blank_ends(line.substr(digits + 2));
  for (const std::string_view bullet : {"- ", "* ", "\u2022 "})
    if (line.starts_with(bullet)) return without_blank_ends(line.substr(bullet.size()));
  return line;
}

}  // namespace

std::string cleaned_answer(std::string_view answer, bool parts) {
  std::string text;
  for (const auto& character : text::decode_utf8(answer)) {
    const bool control = (character.code < 0x20 && !is_text_blank(static_cast<char>(character.code))) ||
                         (character.code >= 0x7F && character.code < 0xA0);
    if (!control) text::append_utf8(text, character.code);
  }
  text = without_thoughts(std::move(text));
  std::string_view rest = without_blank_ends(text);
  for (int round = 0; round < 4; ++round) {
    const auto less = without_quotes(without_introduction(rest));
    if (less.size() == rest.size()) break;
    rest = less;
  }
  if (!parts) return in_one_line(rest);
  std::string lines;
  while (!rest.empty()) {
    const auto line = in_one_line(without_quotes(without_bullet(rest.substr(0, rest.find('\n')))));
    if (!line.empty()) lines += (lines.empty() ? "" : "\n") + line;
    rest.remove_prefix(std::min(rest.size(), rest.find('\n')) + (rest.find('\n') == rest.npos ? 0 : 1));
  }
  return lines;
}

SeparatedPrompt separated(std::string_view prompt, PromptSyntax syntax) {
  SeparatedPrompt result;
  if (!has_weights(syntax)) {
    result.segments.push_back({std::string(prompt), {}, {}});
    return result;
  }
  const auto text = without_tags(prompt, &result.tags);
  for (std::size_t begin = 0; begin <= text.size();) {
    auto [at, word] =
        syntax == PromptSyntax::a1111 ? next_joint(text, begin) : std::pair(text.npos, std::string());
    const auto end = std::min(at, text.size());
    result.segments.push_back(segment_of(std::string_view(text).substr(begin, end - begin)));
    if (at == text.npos) break;
    result.segments.back().joint = " " + word + " ";
    begin = at + word.size();
  }
  return result;
}

std::string as_plain_words(std::string_view text, PromptSyntax syntax) {
  if (!has_weights(syntax)) return std::string(text);
  std::string words = without_tags(text, nullptr), result;
  if (syntax == PromptSyntax::a1111)
    for (auto [at, word] = next_joint(words, 0); at != words.npos;
         std::tie(at, word) = next_joint(words, at + 1))
      words.replace(at, word.size(), in_small_letters(word));
  const std::string_view special = syntax == PromptSyntax::a1111 ? "()[]\\" : "()\\";
  for (const char c : words) {
    if (special.find(c) != special.npos) result += '\\';
    result += c;
  }
  return in_one_line(result);
}

std::string with_pieces(std::string text, const SeparatedPrompt::Segment& segment, PromptSyntax syntax) {
  std::size_t from = 0;  // a piece is not put into another one
  std::vector<std::string> left;
  for (const auto& [piece, words] : segment.pieces) {
    const auto wanted = in_small_letters(as_plain_words(words, syntax));
    const auto at = wanted.empty() ? text.npos : in_small_letters(text).find(wanted, from);
    if (at == text.npos) {
      left.push_back(piece);
      continue;
    }
    text.replace(at, wanted.size(), piece);
    from = at + piece.size();
  }
  for (const auto& piece : left) text += (text.empty() ? "" : ", ") + piece;
  return text;
}

std::size_t count_words(std::string_view text) {
  // Of writing without spaces, four characters are taken for a word.
  std::size_t words = 0, wide = 0;
  bool inside = false;
  for (const auto& character : text::decode_utf8(text)) {
    const bool blank = text::is_space(character.code);
    const bool is_wide = character.code >= 0x2E80;
    wide += is_wide ? 1 : 0;
    if (!blank && !is_wide && !inside) ++words;
    inside = !blank && !is_wide;
  }
  return words + (wide + 3) / 4;
}

}  // namespace daguerre
