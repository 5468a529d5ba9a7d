#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daguerre/media/image.hpp"

namespace daguerre {

class IpAdapter;

/// Pictures for one adapter.
struct ImagePrompt {
  std::shared_ptr<const IpAdapter> adapter{};
  std::vector<Image> images{};  ///< one at least; their tokens lie side by side
  float scale = 1.0f;           ///< how strongly they steer; 0: not at all
  /// In the place of `scale`: for modules by name, "down_blocks.1", "up_blocks.1.attentions.0", "mid_block";
  /// the longest name counts, what is not named has 0.
  std::map<std::string, float> block_scales{};
};

}  // namespace daguerre
