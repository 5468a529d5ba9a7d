#include "daguerre/text/prompt_windows.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "daguerre/core/error.hpp"
#include "daguerre/text/clip_tokenizer.hpp"
#include "daguerre/text/t5_tokenizer.hpp"
#include "text/embedding_names.hpp"
#include "text/prompt_text.hpp"

namespace daguerre::text {
namespace {

/// A token, or a vector in its place.
struct Piece {
  std::int32_t id = 0;
  double weight = 1.0;
  std::optional<InsertedVector> vector{};
};
using Pieces = std::vector<Piece>;

void add_vectors(std::size_t embedding, Index count, double weight, Pieces& pieces) {
  for (Index row = 0; row < count; ++row)
    pieces.push_back({0, weight, InsertedVector{.embedding = embedding, .row = row}});
}

/// How many tokens a window takes. Throws ArgumentError where there is no room for any.
std::size_t room_of(const WindowTokenizer& tokenizer) {
  if (tokenizer.room() < 1)
    throw ArgumentError(prompt_name,
                        "windows of " + std::to_string(tokenizer.length) + " tokens have no room for words");
  return static_cast<std::size_t>(tokenizer.room());
}

/// Start, the pieces, end, and padding.
TokenWindow window_of(const Pieces& pieces, const WindowTokenizer& tokenizer) {
  TokenWindow window;
  window.ids = tokenizer.start;
  window.weights.assign(window.ids.size(), 1.0);
  for (const auto& piece : pieces) {
    if (piece.vector) {
      window.vectors.push_back(*piece.vector);
      window.vectors.back().position = static_cast<Index>(window.ids.size());
    }
    window.ids.push_back(piece.id);
    window.weights.push_back(piece.weight);
  }
  window.ids.push_back(tokenizer.end);
  const auto length = static_cast<std::size_t>(tokenizer.length);
  window.padding = static_cast<Index>(length - std::min(length, window.ids.size()));
  window.ids.resize(length, tokenizer.pad);
  window.weights.resize(length, 1.0);
  return window;
}

void check_fits(const NamedVectors& embedding, const WindowTokenizer& tokenizer) {
  if (embedding.count > tokenizer.room())
    throw ArgumentError(prompt_name, "embedding " + in_quotes(embedding.name) + " has " +
                                         std::to_string(embedding.count) + " vectors, more than the " +
                                         std::to_string(tokenizer.room()) + " tokens of a window");
}

/// Names by the tokens that they begin with.
class NameFinder {
 public:
  NameFinder(const std::vector<NamedVectors>& embeddings, const WindowTokenizer& tokenizer) {
    std::set<std::string_view> known;
    for (std::size_t i = 0; i < embeddings.size(); ++i) {
      auto ids = tokenizer.encode(embeddings[i].name);
      if (ids.empty() || !known.insert(embeddings[i].name).second) continue;
      check_fits(embeddings[i], tokenizer);
      const auto first = ids.front();
      names_[first].push_back({std::move(ids), i});
    }
    for (auto& [first, names] : names_)
      std::stable_sort(names.begin(), names.end(),
                       [](const Name& a, const Name& b) { return a.ids.size() > b.ids.size(); });
  }
  struct Name {
    std::vector<std::int32_t> ids;
    std::size_t embedding;
  };
  /// The longest name at `position`; nullptr where there is none.
  const Name* find(const std::vector<std::int32_t>& ids, std::size_t position) const {
    const auto names = names_.find(ids[position]);
    if (names == names_.end()) return nullptr;
    for (const auto& name : names->second)
      if (name.ids.size() <= ids.size() - position &&
          std::equal(name.ids.begin(), name.ids.end(), ids.begin() + static_cast<std::ptrdiff_t>(position)))
        return &name;
    return nullptr;
  }

 private:
  std::map<std::int32_t, std::vector<Name>> names_;
};

std::optional<std::int32_t> single_token(const WindowTokenizer& tokenizer, std::string_view text) {
  const auto ids = tokenizer.encode(text);
  return ids.size() == 1 ? std::optional(ids.front()) : std::nullopt;
}

std::vector<std::string> names_of(const std::vector<NamedVectors>& embeddings) {
  std::vector<std::string> names;
  for (const auto& embedding : embeddings) names.push_back(embedding.name);
  return names;
}

/// What ComfyUI makes of one weighted part: groups of pieces that are kept together where they are short.
class ComfyuiGroups {
 public:
  ComfyuiGroups(const WindowTokenizer& tokenizer, const std::vector<NamedVectors>& embeddings,
                std::vector<std::string>* unknown)
      : tokenizer_(tokenizer), embeddings_(embeddings), unknown_(unknown) {}

  void add(const WeightedText& part) {
    constexpr std::string_view mark = "embedding:";
    std::string_view rest = part.text;
    for (std::size_t from = 0;;) {
      // A name begins behind a space or a line, or with the part.
      std::size_t cut = rest.npos;
      for (const char* before : {" embedding:", "\nembedding:"}) cut = std::min(cut, rest.find(before, from));
      add_word(rest.substr(0, cut), part.weight, mark);
      if (cut == rest.npos) return;
      rest.remove_prefix(cut + 1);
      from = mark.size();
    }
  }

  std::vector<Pieces> groups;

 private:
  void add_word(std::string_view word, double weight, std::string_view mark) {
    if (word.empty()) return;
    std::string leftover;
    if (word.starts_with(mark)) {
      const auto characters = decode_utf8(word.substr(mark.size()));
      const auto name_and_rest = without_blank_begin(characters);
      auto end = std::find_if(name_and_rest.begin(), name_and_rest.end(),
                              [](const Char& c) { return is_blank(c.code); });
      std::string name = to_utf8({name_and_rest.begin(), end});
      leftover = to_utf8(without_blank_begin({end, name_and_rest.end()}));
      auto found = find(name);
      if (!found) {
        auto stripped = name;
        while (stripped.ends_with(',')) stripped.pop_back();
        stripped.erase(0, std::min(stripped.find_first_not_of(','), stripped.size()));
        if (stripped.size() < name.size()) {
          found = find(stripped);
          leftover = name.substr(stripped.size()) + " " + leftover;
          name = stripped;
        }
      }
      if (found) {
        groups.emplace_back();
        add_vectors(*found, embeddings_[*found].count, weight, groups.back());
      } else if (unknown_ != nullptr) {
        unknown_->push_back(name);
      }
      if (leftover.empty()) return;
      word = leftover;
    }
    groups.emplace_back();
    for (const auto id : tokenizer_.encode(word)) groups.back().push_back({id, weight});
  }

  std::optional<std::size_t> find(std::string_view name) const {
    constexpr std::string_view ending = ".safetensors";
    for (const bool shortened : {false, true}) {
      if (shortened && !name.ends_with(ending)) break;
      const auto wanted = shortened ? name.substr(0, name.size() - ending.size()) : name;
      for (std::size_t i = 0; i < embeddings_.size(); ++i)
        if (embeddings_[i].name == wanted) return i;
    }
    return {};
  }

  const WindowTokenizer& tokenizer_;
  const std::vector<NamedVectors>& embeddings_;
  std::vector<std::string>* unknown_;
};

/// Where compel ends a window whose text goes on, given what would fit.
std::size_t split_point(std::span<const Piece> pieces, std::size_t most, const WindowTokenizer& tokenizer,
                        LongText how) {
  if (how == LongText::brutal || pieces.size() <= most) return most;
  const auto last = [&](const auto& ends) -> std::optional<std::size_t> {
    for (std::size_t i = most; i > 0; --i)
      if (!pieces[i - 1].vector && ends(pieces[i - 1].id)) return i;
    return {};
  };
  const auto one_of = [&](std::initializer_list<const char*> marks) {
    std::vector<std::int32_t> ids;
    for (const auto* mark : marks)
      if (const auto id = single_token(tokenizer, mark)) ids.push_back(*id);
    return [ids](std::int32_t id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  };
  std::optional<std::size_t> found;
  if (how == LongText::sentences) found = last(one_of({"."}));
  if (!found && how != LongText::words) found = last(one_of({".", ",", ";", ":"}));
  if (!found && tokenizer.ends_word) found = last(tokenizer.ends_word);
  return found.value_or(most);
}

}  // namespace

WindowTokenizer window_tokenizer(const ClipTokenizer& tokenizer) {
  return {.encode = [tokenizer](std::string_view text) { return tokenizer.encode(text); },
          .start = {tokenizer.start_id()},
          .end = tokenizer.end_id(),
          .pad = tokenizer.pad_id(),
          .length = tokenizer.length(),
          .tokens = tokenizer.vocabulary_size(),
          .ends_word = [tokenizer](std::int32_t id) { return tokenizer.ends_word(id); }};
}

WindowTokenizer window_tokenizer(const T5Tokenizer& tokenizer, Index length) {
  return {.encode = [tokenizer](std::string_view text) { return tokenizer.encode(text); },
          .start = {},
          .end = tokenizer.end_id(),
          .pad = tokenizer.pad_id(),
          .length = length,
          .tokens = tokenizer.vocabulary_size()};
}

TokenWindow empty_window(const WindowTokenizer& tokenizer) {
  return window_of({}, tokenizer);
}

std::vector<TokenWindow> a1111_windows(const std::vector<WeightedText>& prompt,
                                       const WindowTokenizer& tokenizer, int comma_backtrack,
                                       const std::vector<NamedVectors>& embeddings) {
  const auto room = room_of(tokenizer);
  const NameFinder names(embeddings, tokenizer);
  const auto comma = single_token(tokenizer, ",");
  std::vector<TokenWindow> windows;
  Pieces window;
  std::optional<std::size_t> last_comma;
  const auto next_window = [&] {
    windows.push_back(window_of(window, tokenizer));
    window.clear();
    last_comma.reset();
  };
  for (const auto& part : prompt) {
    if (part.is_break()) {
      next_window();
      continue;
    }
    const auto ids = tokenizer.encode(part.text);
    for (std::size_t position = 0; position < ids.size();) {
      if (comma && ids[position] == *comma) {
        last_comma = window.size();
      } else if (comma_backtrack != 0 && window.size() == room && last_comma &&
                 static_cast<std::int64_t>(window.size() - *last_comma) <= comma_backtrack) {
        const auto cut = window.begin() + static_cast<std::ptrdiff_t>(*last_comma + 1);
        Pieces moved(cut, window.end());
        window.erase(cut, window.end());
        next_window();
        window = std::move(moved);
      }
      if (window.size() == room) next_window();
      const auto* name = names.find(ids, position);
      if (name == nullptr) {
        window.push_back({ids[position], part.weight});
        ++position;
        continue;
      }
      const Index count = embeddings[name->embedding].count;
      if (window.size() + static_cast<std::size_t>(count) > room) next_window();
      add_vectors(name->embedding, count, part.weight, window);
      position += name->ids.size();
    }
  }
  if (!window.empty() || windows.empty()) next_window();
  return windows;
}

std::vector<TokenWindow> comfyui_windows(const std::vector<WeightedText>& prompt,
                                         const WindowTokenizer& tokenizer,
                                         const std::vector<NamedVectors>& embeddings,
                                         std::vector<std::string>* unknown) {
  constexpr std::size_t long_group = 8;
  const auto room = room_of(tokenizer);
  ComfyuiGroups groups(tokenizer, embeddings, unknown);
  for (const auto& part : prompt) groups.add(part);
  std::vector<TokenWindow> windows;
  Pieces window;
  const auto next_window = [&] {
    windows.push_back(window_of(window, tokenizer));
    window.clear();
  };
  for (const auto& group : groups.groups) {
    // One that is longer than a window is cut even so.
    const bool may_be_cut = group.size() >= std::min(long_group, room + 1);
    for (auto from = group.begin(); from != group.end();) {
      const auto left = static_cast<std::size_t>(group.end() - from);
      auto count = left;
      if (left + window.size() > room) count = may_be_cut ? room - window.size() : 0;
      window.insert(window.end(), from, from + static_cast<std::ptrdiff_t>(count));
      from += static_cast<std::ptrdiff_t>(count);
      if (count < left) next_window();
    }
  }
  next_window();
  return windows;
}

CompelWindows compel_windows(const std::vector<CompelFragment>& prompt, const WindowTokenizer& tokenizer,
                             bool truncates, LongText how, const std::vector<NamedVectors>& embeddings) {
  const auto room = room_of(tokenizer);
  const auto names = names_of(embeddings);
  Pieces pieces;
  std::vector<std::pair<std::size_t, std::size_t>> ranges;
  for (const auto& fragment : prompt) {
    const auto begin = pieces.size();
    for (const auto& part : split_at_names(fragment.text, names)) {
      if (part.name) {
        add_vectors(*part.name, embeddings[*part.name].count, fragment.weight, pieces);
        continue;
      }
      for (const auto id : tokenizer.encode(part.text)) pieces.push_back({id, fragment.weight});
    }
    ranges.emplace_back(begin, pieces.size());
  }
  CompelWindows result;
  std::vector<Index> place;  // of each piece through all windows
  const auto marks = static_cast<Index>(tokenizer.start.size());
  const std::span<const Piece> all(pieces);
  for (std::size_t from = 0;;) {
    const auto rest = all.subspan(from);
    const auto cut = truncates ? room : split_point(rest, room, tokenizer, how);
    const auto count = std::min(cut, rest.size());
    const auto before = static_cast<Index>(result.windows.size()) * tokenizer.length + marks;
    for (std::size_t i = 0; i < count; ++i) place.push_back(before + static_cast<Index>(i));
    result.windows.push_back(
        window_of({rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(count)}, tokenizer));
    from += count;
    if (truncates || from == all.size()) break;
  }
  for (const auto& [begin, end] : ranges) {
    const auto seen = std::min(end, place.size());  // the rest was cut off
    if (begin >= seen)
      result.places.emplace_back(0, 0);
    else  // of one that was cut off the reference counts the window's end, too
      result.places.emplace_back(place[begin], seen < end ? tokenizer.length : place[seen - 1] + 1);
  }
  return result;
}

std::string diffusers_prompt(std::string_view prompt, const std::vector<NamedVectors>& embeddings) {
  const auto names = names_of(embeddings);
  std::set<std::size_t> found;
  for (const auto& part : split_at_names(prompt, names))
    if (part.name) found.insert(*part.name);
  std::string text(prompt);
  for (const auto index : found) {
    const auto& [name, count] = embeddings[index];
    if (count == 1) continue;
    std::string all = name;
    for (Index i = 1; i < count; ++i) all += " " + name + "_" + std::to_string(i);
    std::string replaced;
    std::size_t from = 0;
    for (auto at = text.find(name); at != text.npos; at = text.find(name, from)) {
      replaced.append(text, from, at - from).append(all);
      from = at + name.size();
    }
    text = replaced.append(text, from);
  }
  return text;
}

TokenWindow diffusers_window(std::string_view prompt, const WindowTokenizer& tokenizer,
                             const std::vector<NamedVectors>& embeddings, std::string* lost) {
  std::vector<std::string> names;
  std::vector<InsertedVector> vectors;
  for (std::size_t i = 0; i < embeddings.size(); ++i)
    for (Index row = 0; row < embeddings[i].count; ++row) {
      names.push_back(embeddings[i].name + (row == 0 ? "" : "_" + std::to_string(row)));
      vectors.push_back({.embedding = i, .row = row});
    }
  const auto text = diffusers_prompt(prompt, embeddings);
  const auto room = static_cast<std::size_t>(tokenizer.room());
  Pieces pieces;
  for (const auto& part : split_at_names(text, names)) {
    const auto before = pieces.size();
    if (part.name)
      pieces.push_back({static_cast<std::int32_t>(tokenizer.tokens + static_cast<Index>(*part.name)), 1.0,
                        vectors[*part.name]});
    else
      for (const auto id : tokenizer.encode(part.text)) pieces.push_back({id, 1.0});
    if (lost != nullptr && before <= room && pieces.size() > room)
      *lost = std::string(part.text.data(), text.data() + text.size());
  }
  if (pieces.size() > room) pieces.resize(room);
  return window_of(pieces, tokenizer);
}

}  // namespace daguerre::text
