#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "daguerre/ops/context.hpp"
#include "evaluation/feature_extractor.hpp"

namespace daguerre::evaluation {

/// Inception v3 as a FeatureNetwork of `kind` "pytorch-fid" or "torch-fidelity". `path` is a safetensors file
/// with torchvision's names (examples/models/convert_pickle.py makes one of the published files), or a folder
/// that holds it. Throws ArgumentError for another kind, FileError, FormatError, WeightError.
std::unique_ptr<FeatureExtractor> open_inception(std::string_view kind, const std::filesystem::path& path,
                                                 const FeatureNetworkOptions& options);

/// A picture as the network of that kind is given it, `[1, 299, 299, 3]`. Throws ArgumentError for another
/// kind and an empty picture.
Tensor<float> inception_picture(const ops::Context& context, std::string_view kind, const Image& picture);

/// Calls `run` for the pictures, so prepared, a few together: `[n, 299, 299, 3]`.
void in_batches(const ops::Context& context, std::string_view kind, std::span<const Image> pictures,
                const std::function<void(const Tensor<float>& batch)>& run);

}  // namespace daguerre::evaluation
