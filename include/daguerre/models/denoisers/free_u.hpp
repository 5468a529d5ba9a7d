#pragma once

namespace daguerre::models {

/// FreeU (Si et al. 2023, the first version): in the first two blocks on a U-Net's way up the first half of
/// the channels is strengthened, and the skip connections' low frequencies are weakened. 1 changes nothing.
struct FreeU {
  float b1 = 1.0f, b2 = 1.0f;  ///< of the channels, in the first block and in the second
  float s1 = 1.0f, s2 = 1.0f;  ///< of the skip connections' low frequencies, likewise

  bool operator==(const FreeU&) const = default;
};

}  // namespace daguerre::models
