#pragma once

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// The files behind a network's weights: `path` is a safetensors or GGUF file, an index of shards, or a
/// component's folder in which the usual names are looked for. Every tensor that an index promises is in its
/// shard. Throws what `StateDict::load` throws.
std::vector<std::shared_ptr<const TensorFile>> open_weight_files(const std::filesystem::path& path,
                                                                 const SafetensorsOptions& options,
                                                                 const WeightNames& names = {});

/// The file or index that is taken in a component's folder; empty where there is none of these names.
/// Throws ArgumentError for a variant that is no part of a name.
std::filesystem::path find_weight_file(const std::filesystem::path& folder, const WeightNames& names);

/// True for the name of a file or folder that stays inside its folder: no separators, no "..", no drive.
bool is_plain_name(std::string_view name);

}  // namespace daguerre::weights
