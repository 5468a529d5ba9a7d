#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "evaluation/feature_extractor.hpp"

namespace daguerre::evaluation {

/// Inception v3 as a FeatureNetwork of `kind` "pytorch-fid" or "torch-fidelity". `path` is a safetensors file
/// with torchvision's names (examples/models/convert_pickle.py makes one of the published files), or a folder
/// that holds it. Throws ArgumentError for another kind, FileError, FormatError, WeightError.
std::unique_ptr<FeatureExtractor> open_inception(std::string_view kind, const std::filesystem::path& path,
                                                 const FeatureNetworkOptions& options);

}  // namespace daguerre::evaluation
