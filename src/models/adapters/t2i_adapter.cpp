#include <algorithm>

#include "daguerre/models/adapters/t2i_adapter-inl.hpp"

namespace daguerre::models {

T2IAdapterConfig T2IAdapterConfig::from(const Config& config) {
  constexpr const char* who = "t2i_adapter";
  if (const auto name = config.class_name(); name != "T2IAdapter")
    throw ConfigError(who, config.source() + ": class \"" + name + "\" is not T2IAdapter");
  T2IAdapterConfig result;
  config.expect("adapter_type", {"\"full_adapter\"", "\"full_adapter_xl\"", "\"light_adapter\""});
  const auto type = config.get("adapter_type", "full_adapter");
  if (type == "full_adapter_xl") result.kind = Kind::full_xl;
  if (type == "light_adapter") result.kind = Kind::light;
  result.in_channels = config.get("in_channels", 3);
  if (config.is_list("channels")) {
    const auto channels = config.require_ints("channels");
    result.channels.assign(channels.begin(), channels.end());
  }
  result.num_res_blocks = config.get("num_res_blocks", 2);
  result.downscale_factor = config.get("downscale_factor", 8);
  config.finish();

  const auto& channels = result.channels;
  const Index least = result.kind == Kind::light ? 4 : 1;
  const bool possible = result.in_channels >= 1 && result.in_channels <= 1024 && !channels.empty() &&
                        channels.size() <= 16 && result.num_res_blocks >= 0 &&
                        result.num_res_blocks <= 1000 && result.downscale_factor >= 1 &&
                        result.downscale_factor <= 256 &&
                        std::all_of(channels.begin(), channels.end(), [&](Index n) { return n >= least; });
  if (!possible)
    throw ConfigError(who, config.source() +
                               ": channels and downscale_factor must be positive, of light "
                               "adapters at least 4 channels");
  return result;
}

std::vector<Index> T2IAdapterConfig::feature_channels() const {
  auto result = channels;
  if (kind == Kind::light) result.push_back(channels.back());
  return result;
}

template class T2IAdapter<float>;
template class T2IAdapter<bfloat16>;

}  // namespace daguerre::models
