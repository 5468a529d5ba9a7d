#include "pipeline/generated_text.hpp"

#include <algorithm>

namespace daguerre {
namespace {

/// How much of the text's end is the beginning of `stop`.
std::size_t begun(std::string_view text, std::string_view stop) {
  for (std::size_t size = std::min(text.size(), stop.size() - 1); size > 0; --size)
    if (text.ends_with(stop.substr(0, size))) return size;
  return 0;
}

}  // namespace

bool GeneratedText::grow(std::string_view text) {
  // What is certain holds no beginning of a stop string, so that none ends behind it that began in it.
  std::size_t first = std::string_view::npos, open = 0;
  for (const auto& stop : stops_) {
    first = std::min(first, text.find(stop, certain_));
    open = std::max(open, begun(text, stop));
  }
  const bool is_stopped = first != std::string_view::npos;
  text_ = text.substr(0, first);
  certain_ = std::max(certain_, is_stopped ? text_.size() : text_.size() - std::min(open, text_.size()));
  return is_stopped;
}

std::string_view GeneratedText::take() noexcept {
  const auto piece = std::string_view(text_).substr(taken_, certain_ - taken_);
  taken_ = certain_;
  return piece;
}

}  // namespace daguerre
