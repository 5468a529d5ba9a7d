#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "daguerre/text/unicode.hpp"
#include "text/split_pattern.hpp"

namespace daguerre::text {

/// Looks for a text, or for what a pattern matches, in other texts. Immutable, cheap to copy.
class Finder {
 public:
  /// From a step's "pattern": {"String": …} or {"Regex": …}.
  Finder(const nlohmann::json& step, const char* what, const std::string& source);
  explicit Finder(std::string_view pattern, const std::string& source)
      : pattern_(std::make_shared<SplitPattern>(pattern, source)) {}

  /// between(begin, end) of what matches nothing, which is not empty, and found(begin, end), in order, for
  /// one text after the other.
  class Run {
   public:
    explicit Run(const Finder& finder) : literal_(finder.literal_) {
      if (finder.pattern_) matcher_.emplace(*finder.pattern_);
    }
    template <class Between, class Found>
    void over(std::span<const Char> text, const Between& between, const Found& found) {
      if (matcher_) matcher_->begin(text);
      std::size_t at = 0;
      while (at < text.size()) {
        const auto match = matcher_ ? matcher_->find(at) : find_literal(text, at);
        if (!match) break;
        if (match->begin > at) between(at, match->begin);
        found(match->begin, match->end);
        at = match->end;
      }
      if (at < text.size()) between(at, text.size());
    }

   private:
    std::optional<SplitPattern::Range> find_literal(std::span<const Char> text, std::size_t from) const {
      if (literal_.empty()) return std::nullopt;
      for (; from + literal_.size() <= text.size(); ++from)
        if (std::equal(literal_.begin(), literal_.end(), text.begin() + static_cast<std::ptrdiff_t>(from),
                       [](const Char& a, const Char& b) { return a.code == b.code; }))
          return SplitPattern::Range{from, from + literal_.size()};
      return std::nullopt;
    }
    std::span<const Char> literal_;
    std::optional<SplitPattern::Matcher> matcher_;
  };

 private:
  Chars literal_;
  std::shared_ptr<const SplitPattern> pattern_;
};

}  // namespace daguerre::text
