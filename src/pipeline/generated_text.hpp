#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre {

/// A text that grows, and what of it is certain: not the beginning of a stop string.
class GeneratedText {
 public:
  explicit GeneratedText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

  /// The text so far, which begins with what it was before. Whether it holds a stop string: it ends before
  /// the first one then.
  bool grow(std::string_view text);
  /// No stop string can come any more.
  void end() noexcept { certain_ = text_.size(); }
  /// What has become certain since the last call.
  std::string_view take() noexcept;
  const std::string& text() const noexcept { return text_; }

 private:
  std::vector<std::string> stops_;
  std::string text_;
  std::size_t certain_ = 0, taken_ = 0;
};

}  // namespace daguerre
