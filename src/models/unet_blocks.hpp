#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/config.hpp"

namespace daguerre::models {

/// Whether each block that `key` lists is of the type `with` (attention) rather than `without`. Throws
/// ConfigError for any other type.
inline std::vector<bool> attention_in_blocks(const weights::Config& config, std::string_view key,
                                             std::string_view with, std::string_view without) {
  std::vector<bool> result;
  for (const auto& type : config.require_strings(key)) {
    if (type != with && type != without)
      throw ConfigError("unet", config.source() + ": block type \"" + type + "\" in " + std::string(key) +
                                    " is not supported; supported are: " + std::string(with) + ", " +
                                    std::string(without));
    result.push_back(type == with);
  }
  return result;
}

}  // namespace daguerre::models
