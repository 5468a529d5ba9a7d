#include "config/json.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/byte_pair.hpp"
#include "text/finder.hpp"
#include "text/sentence_pieces.hpp"
#include "text/text_steps.hpp"

namespace daguerre::text {

const std::string_view gpt2_pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

namespace {

using nlohmann::json;

constexpr const char* what_step = "pre_tokenizer";
constexpr char32_t space = U' ', metaspace_char = U'\x2581';

enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

SplitBehavior read_behavior(const json& step, const std::string& source, SplitBehavior fallback) {
  if (!step.contains("behavior")) return fallback;
  constexpr std::array<std::string_view, 5> names{"Removed", "Isolated", "MergedWithPrevious",
                                                  "MergedWithNext", "Contiguous"};
  const auto found = std::find(names.begin(), names.end(), step["behavior"]);
  if (found == names.end()) refuse_step(step, what_step, source);
  return static_cast<SplitBehavior>(found - names.begin());
}

/// Cuts a part into pieces, each of which matches something or nothing, and puts them together.
class Splitter {
 public:
  explicit Splitter(SplitBehavior behavior) : behavior_(behavior) {}
  void add(std::size_t begin, std::size_t end, bool matches) {
    if (begin < end) pieces_.push_back({begin, end, matches});
  }
  /// Appends what the pieces become, and forgets them.
  void take(std::vector<TextParts::Part>& parts) {
    for (std::size_t i = 0; i < pieces_.size(); ++i) {
      const auto& [begin, end, matches] = pieces_[i];
      const bool after_match = i > 0 && pieces_[i - 1].matches;
      const bool joins =
          i > 0 && ((behavior_ == SplitBehavior::merged_with_previous && matches && !after_match) ||
                    (behavior_ == SplitBehavior::merged_with_next && !matches && after_match) ||
                    (behavior_ == SplitBehavior::contiguous && matches == after_match));
      if (matches && behavior_ == SplitBehavior::removed) continue;
      if (joins)
        parts.back().second = end;
      else
        parts.emplace_back(begin, end);
    }
    pieces_.clear();
  }

 private:
  struct Piece {
    std::size_t begin, end;
    bool matches;
  };
  SplitBehavior behavior_;
  std::vector<Piece> pieces_;
};

class SplitStep final : public PreTokenizerStep {
 public:
  SplitStep(Finder finder, SplitBehavior behavior, bool invert)
      : finder_(std::move(finder)), behavior_(behavior), invert_(invert) {}
  void run(TextParts& parts, bool /*first*/) const override {
    std::vector<TextParts::Part> result;
    Splitter splitter(behavior_);
    Finder::Run run(finder_);
    for (const auto& part : parts.parts) {
      const std::size_t offset = part.first;
      run.over(
          std::span<const Char>(parts.text).subspan(offset, part.second - offset),
          [&](std::size_t begin, std::size_t end) { splitter.add(offset + begin, offset + end, invert_); },
          [&](std::size_t begin, std::size_t end) { splitter.add(offset + begin, offset + end, !invert_); });
      splitter.take(result);
    }
    parts.parts = std::move(result);
  }

 private:
  Finder finder_;
  SplitBehavior behavior_;
  bool invert_;
};

/// Cuts where single characters of a kind are.
class CharacterStep final : public PreTokenizerStep {
 public:
  CharacterStep(bool (*is_kind)(char32_t), SplitBehavior behavior) : is_kind_(is_kind), behavior_(behavior) {}
  void run(TextParts& parts, bool /*first*/) const override {
    std::vector<TextParts::Part> result;
    Splitter splitter(behavior_);
    for (const auto& [begin, end] : parts.parts) {
      std::size_t other = begin;
      for (std::size_t i = begin; i < end; ++i) {
        if (!is_kind_(parts.text[i].code)) continue;
        splitter.add(other, i, false);
        splitter.add(i, i + 1, true);
        other = i + 1;
      }
      splitter.add(other, end, false);
      splitter.take(result);
    }
    parts.parts = std::move(result);
  }

 private:
  bool (*is_kind_)(char32_t);
  SplitBehavior behavior_;
};

bool is_punctuation(char32_t code) {
  const auto category = category_of(code);
  if (category >= Category::Pc && category <= Category::Ps) return true;
  return code < 128 && category >= Category::Sc && category <= Category::So;
}

/// Puts a character before parts that do not begin with it.
void put_before(TextParts& parts, char32_t code, bool first_only) {
  Chars text;
  text.reserve(parts.text.size() + parts.parts.size());
  bool is_first = true;
  for (auto& [begin, end] : parts.parts) {
    const std::size_t from = text.size();
    if (parts.text[begin].code != code && (is_first || !first_only)) text.push_back({code, 0});
    text.insert(text.end(), parts.text.begin() + static_cast<std::ptrdiff_t>(begin),
                parts.text.begin() + static_cast<std::ptrdiff_t>(end));
    begin = from, end = text.size();
    is_first = false;
  }
  parts.text = std::move(text);
}

/// GPT-2's: every byte becomes the character that stands for it.
class ByteLevelStep final : public PreTokenizerStep {
 public:
  ByteLevelStep(bool add_prefix, bool use_pattern, const std::string& source) : add_prefix_(add_prefix) {
    if (use_pattern) split_.emplace(Finder(gpt2_pattern, source), SplitBehavior::isolated, false);
  }
  void run(TextParts& parts, bool first) const override {
    if (add_prefix_) put_before(parts, space, false);
    if (split_) split_->run(parts, first);
    Chars text;
    text.reserve(parts.text.size());
    std::string bytes;
    for (auto& [begin, end] : parts.parts) {
      const std::size_t from = text.size();
      for (std::size_t i = begin; i < end; ++i) {
        bytes.clear();
        append_utf8(bytes, parts.text[i].code);
        for (const char byte : bytes) text.push_back({byte_to_char(static_cast<unsigned char>(byte)), 0});
      }
      begin = from, end = text.size();
    }
    parts.text = std::move(text);
  }

 private:
  bool add_prefix_;
  std::optional<SplitStep> split_;
};

/// sentencepiece's: a space is written as U+2581, words begin with it.
class MetaspaceStep final : public PreTokenizerStep {
 public:
  MetaspaceStep(std::string_view scheme, bool split) : scheme_(scheme), split_(split) {}
  void run(TextParts& parts, bool first) const override {
    for (auto& character : parts.text)
      if (character.code == space) character.code = metaspace_char;
    if (scheme_ == "always" || (scheme_ == "first" && first))
      put_before(parts, metaspace_char, scheme_ == "first");
    if (!split_) return;
    Splitter splitter(SplitBehavior::merged_with_next);
    std::vector<TextParts::Part> result;
    for (const auto& [begin, end] : parts.parts) {
      std::size_t other = begin;
      for (std::size_t i = begin; i < end; ++i) {
        if (parts.text[i].code != metaspace_char) continue;
        splitter.add(other, i, false);
        splitter.add(i, i + 1, true);
        other = i + 1;
      }
      splitter.add(other, end, false);
      splitter.take(result);
    }
    parts.parts = std::move(result);
  }

 private:
  std::string scheme_;
  bool split_;
};

std::shared_ptr<const PreTokenizerStep> metaspace_step(const json& step, const std::string& source) {
  if (step.value("replacement", json("\xE2\x96\x81")) != metaspace) refuse_step(step, what_step, source);
  const bool adds = step.value("add_prefix_space", json(true)) != false;
  const json scheme = step.value("prepend_scheme", json(adds ? "always" : "never"));
  if (scheme != "always" && scheme != "first" && scheme != "never") refuse_step(step, what_step, source);
  return std::make_shared<MetaspaceStep>(scheme.get_ref<const std::string&>(),
                                         step.value("split", json(true)) != false);
}

std::shared_ptr<const PreTokenizerStep> pre_tokenizer_step(const json& step, const std::string& source) {
  const auto type = step_type(step);
  const auto flag = [&](const char* key, bool fallback) {
    const json value = step.value(key, json(fallback));
    if (!value.is_boolean())
      refuse_step(step, what_step, source,
                  std::string("has a \"") + key + "\" that is neither true nor false");
    return value.get<bool>();
  };
  if (type == "Split")
    return std::make_shared<SplitStep>(Finder(step, what_step, source),
                                       read_behavior(step, source, SplitBehavior::isolated),
                                       flag("invert", false));
  if (type == "ByteLevel")
    return std::make_shared<ByteLevelStep>(flag("add_prefix_space", true), flag("use_regex", true), source);
  if (type == "Digits")
    return std::make_shared<CharacterStep>(
        +[](char32_t code) { return is_number(code); },
        flag("individual_digits", false) ? SplitBehavior::isolated : SplitBehavior::contiguous);
  if (type == "Punctuation")
    return std::make_shared<CharacterStep>(is_punctuation,
                                           read_behavior(step, source, SplitBehavior::isolated));
  if (type == "WhitespaceSplit")
    return std::make_shared<CharacterStep>(
        +[](char32_t code) { return is_space(code); }, SplitBehavior::removed);
  if (type == "Whitespace")
    return std::make_shared<SplitStep>(Finder(R"(\w+|[^\w\s]+)", source), SplitBehavior::removed, true);
  if (type == "Metaspace") return metaspace_step(step, source);
  refuse_step(step, what_step, source);
}

}  // namespace

PreTokenizer::PreTokenizer(const json& step, const std::string& source) : source_(source) {
  for_each_step(step, "pretokenizers", source, [&](const json& each) {
    if (steps_.size() == most_text_steps) refuse_steps(what_step, source);
    steps_.push_back(pre_tokenizer_step(each, source));
    byte_level_ |= step_type(each) == "ByteLevel";
  });
}

PreTokenizer::PreTokenizer(const std::vector<std::string_view>& patterns, const std::string& source)
    : source_(source), byte_level_(true) {
  for (const auto pattern : patterns)
    steps_.push_back(std::make_shared<SplitStep>(Finder(pattern, source), SplitBehavior::isolated, false));
  steps_.push_back(std::make_shared<ByteLevelStep>(false, false, source));
}

TextParts PreTokenizer::run(Chars text, bool first) const {
  TextParts result{std::move(text), {}};
  if (result.text.empty()) return result;
  result.parts.emplace_back(0, result.text.size());
  const std::size_t most = most_grown(result.text.size());
  for (const auto& step : steps_) {
    step->run(result, first);
    if (result.text.size() > most) refuse_growth(what_step, source_);
  }
  return result;
}

}  // namespace daguerre::text
