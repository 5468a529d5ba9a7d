#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

#include "evaluation/feature_extractor.hpp"

namespace daguerre::evaluation {

/// CLIP as a FeatureNetwork of `kind` "clip", "hps" or "cmmd"; nullptr for another kind. `path` is what
/// PictureJudge::load takes. Throws FileError, FormatError, ConfigError, WeightError.
std::unique_ptr<FeatureExtractor> open_clip_features(std::string_view kind, const std::filesystem::path& path,
                                                     const FeatureNetworkOptions& options);

}  // namespace daguerre::evaluation
