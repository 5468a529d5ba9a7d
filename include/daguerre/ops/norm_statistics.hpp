#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace daguerre::ops {

/// Means and variances that group norms take in place of those of what they are given, told apart by the
/// order of the calls. Kept in a run over a whole picture made small, they are used in runs over the pieces
/// of it, which so stay alike where they meet (the idea of the "fast" mode of tiled autoencoders in the web
/// UI's extension multidiffusion-upscaler). Hangs in `Context::norm_statistics`; for one run at a time.
class NormStatistics {
 public:
  struct Group {
    double mean = 0.0, variance = 0.0;
  };

  /// From the next call on what is found is kept, in the place of what was kept before.
  void keep();
  /// From the next call on, which is the first one again, it is used.
  void use() noexcept;
  bool uses() const noexcept { return uses_; }
  /// The place of the next call's `groups` groups, of all images: to be filled in, or to be used. Throws
  /// ArgumentError where a call of that many groups was not kept at this place.
  std::span<Group> next(std::size_t groups);

 private:
  std::vector<std::vector<Group>> calls_;
  std::size_t at_ = 0;
  bool uses_ = false;
};

}  // namespace daguerre::ops
