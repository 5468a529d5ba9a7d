#include <algorithm>
#include <limits>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "text/split_pattern.hpp"

namespace daguerre::text {
namespace {

constexpr std::size_t no_match = std::numeric_limits<std::size_t>::max();
// Published patterns take some ten steps a character.
constexpr std::size_t steps_per_character = 4096, steps_at_least = 1 << 20;

}  // namespace

SplitPattern::Matcher::Matcher(const SplitPattern& pattern)
    : pattern_(&pattern), memory_(pattern.nodes_.size()), allowed_(steps_at_least) {}

void SplitPattern::Matcher::begin(std::span<const Char> text) {
  text_ = text;
  allowed_ += text.size() * steps_per_character;
  std::fill(memory_.begin(), memory_.end(), Memory());
}

std::optional<SplitPattern::Range> SplitPattern::Matcher::find(std::size_t from) {
  for (std::size_t at = from; at < text_.size(); ++at)
    if (const std::size_t end = match(pattern_->start_, at); end != no_match && end > at)
      return Range{at, end};
  return std::nullopt;
}

/// The end of the run of a loop's characters that `at` lies in, or `at`.
std::size_t SplitPattern::Matcher::run_end(const Node& node, Memory& memory, std::size_t at) const {
  if (at >= memory.run_begin && at < memory.run_end) return memory.run_end;
  const auto& set = pattern_->sets_[node.set];
  std::size_t end = at;
  while (end < text_.size() && set.contains(text_[end].code)) {
    ++end;
    // What was found from the character behind on goes on from here.
    if (end == memory.run_begin && memory.run_begin < memory.run_end) {
      end = memory.run_end;
      break;
    }
  }
  if (end > at) memory.run_begin = at, memory.run_end = end;
  return end;
}

std::size_t SplitPattern::Matcher::match_loop(std::uint32_t index, std::size_t at) {
  const Node& node = pattern_->nodes_[index];
  std::size_t last = at;
  if (node.most == std::numeric_limits<std::uint32_t>::max()) {
    last = run_end(node, memory_[index], at);
  } else {
    const auto& set = pattern_->sets_[node.set];
    while (last < text_.size() && last - at < node.most && set.contains(text_[last].code)) ++last;
  }
  if (last - at < node.least) return no_match;
  const std::size_t first = at + node.least;
  // What follows depends on the place alone: where it failed it always fails.
  const auto try_at = [&](std::size_t place) {
    const std::size_t end = match(node.next, place);
    if (end != no_match) return end;
    auto& memory = memory_[index];
    if (memory.failed_begin < memory.failed_end && place == memory.failed_end)
      ++memory.failed_end;
    else if (memory.failed_begin < memory.failed_end && place + 1 == memory.failed_begin)
      --memory.failed_begin;
    else
      memory.failed_begin = place, memory.failed_end = place + 1;
    return no_match;
  };
  const auto is_known = [&](std::size_t place) {
    return place >= memory_[index].failed_begin && place < memory_[index].failed_end;
  };
  if (node.mode == Mode::lazy) {
    for (std::size_t place = first; place <= last; ++place) {
      if (is_known(place)) {
        place = memory_[index].failed_end - 1;
      } else if (const std::size_t end = try_at(place); end != no_match) {
        return end;
      }
    }
    return no_match;
  }
  for (std::size_t place = last + 1; place-- > first;) {
    if (is_known(place)) {
      place = memory_[index].failed_begin;
    } else if (const std::size_t end = try_at(place); end != no_match) {
      return end;
    }
    if (node.mode == Mode::possessive) break;
  }
  return no_match;
}

/// Where the match of a node and what follows it ends. Goes as deep as a pattern has nodes.
std::size_t SplitPattern::Matcher::match(std::uint32_t index, std::size_t at) {
  for (;;) {
    if (++steps_ > allowed_)
      throw ConfigError("tokenizer", pattern_->source_ + ": the pattern " + in_quotes(pattern_->text_) +
                                         " takes too long on a text of " + std::to_string(text_.size()) +
                                         " characters");
    const Node& node = pattern_->nodes_[index];
    switch (node.kind) {
      case Kind::end:
        return at;
      case Kind::set:
        if (at == text_.size() || !pattern_->sets_[node.set].contains(text_[at].code)) return no_match;
        ++at;
        break;
      case Kind::loop:
        return match_loop(index, at);
      case Kind::choice:
        for (const auto option : node.options)
          if (const std::size_t end = match(option, at); end != no_match) return end;
        return no_match;
      case Kind::look:
        if ((match(node.options[0], at) != no_match) == node.negative) return no_match;
        break;
      case Kind::line_begin:
        if (at > 0 && text_[at - 1].code != U'\n') return no_match;
        break;
      case Kind::line_end:
        if (at < text_.size() && text_[at].code != U'\n') return no_match;
        break;
    }
    index = node.next;
  }
}

}  // namespace daguerre::text
