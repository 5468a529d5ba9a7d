#include "film_sheet.hpp"

#include <algorithm>
#include <cmath>

namespace daguerre::cli {

void FilmSheet::add(const Image& frame, Index index, Index total) {
  constexpr Index most = 64, largest = 4096;
  if (index == 0) {
    shown_ = std::min(total, most);
    columns_ = static_cast<Index>(std::ceil(std::sqrt(static_cast<double>(shown_))));
    const Index rows = (shown_ + columns_ - 1) / columns_;
    const double scale =
        std::min({1.0, static_cast<double>(largest) / static_cast<double>(columns_ * frame.width()),
                  static_cast<double>(largest) / static_cast<double>(rows * frame.height())});
    const auto scaled = [&](Index side) {
      return std::max<Index>(1, static_cast<Index>(static_cast<double>(side) * scale));
    };
    width_ = scaled(frame.width());
    height_ = scaled(frame.height());
    sheet_ = Image(columns_ * width_, rows * height_, 3);
    next_ = 0;
  }
  // The first one and the last one are among them.
  const Index wanted = shown_ > 1 ? next_ * (total - 1) / (shown_ - 1) : 0;
  if (index != wanted || next_ == shown_) return;
  const Image small = frame.to_channels(3).resized(width_, height_);
  const Index left = next_ % columns_ * width_, top = next_ / columns_ * height_;
  for (Index y = 0; y < height_; ++y)
    std::copy_n(small.pixels().data() + y * width_ * 3, width_ * 3,
                sheet_.pixels().data() + ((top + y) * sheet_.width() + left) * 3);
  ++next_;
}

void FilmSheet::save_png(const std::filesystem::path& path, const std::string& settings) const {
  sheet_.save_png(path, {{"parameters", settings}});
}

}  // namespace daguerre::cli
