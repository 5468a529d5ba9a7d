#pragma once

#include <filesystem>
#include <memory>

#include "evaluation/feature_extractor.hpp"

namespace daguerre::evaluation {

/// An autoencoder as a FeatureNetwork of kind "vae": the posterior means of a picture's latents, unscaled,
/// averaged over areas to 4 x 4 positions, [N, 16 C]. `path` is what with_autoencoder takes: a part's folder,
/// a model's, or a file. Throws what that and loading throw.
std::unique_ptr<FeatureExtractor> open_autoencoder_features(const std::filesystem::path& path,
                                                            const FeatureNetworkOptions& options);

}  // namespace daguerre::evaluation
