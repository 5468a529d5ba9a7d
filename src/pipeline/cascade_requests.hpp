#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/media/infotext.hpp"
#include "pipeline/cascade_parts.hpp"

/// What the models of a cascade's stages are asked, and what their settings are called.
namespace daguerre {

inline Extent size_of_image(const Image& image) {
  return {image.height(), image.width()};
}

/// The first stage's request: `over` holds over it, `own` where it says nothing.
Request first_request(const Request& first, const StageOptions& over, const StageOptions& own);
/// The same for its size. Throws ArgumentError for a scale without a picture.
void settle_first_size(const StageSource& stage, const StageOptions& over, const StageOptions& own,
                       Request& request);

/// What is asked of a later stage's model for one picture.
Request later_request(const StageSource& stage, const PipelineInfo& info, const StageOptions& options,
                      const Request& first, const Image& picture, std::uint64_t seed,
                      std::size_t number_of_picture);

/// Adds `own`, the settings of a stage behind the first one, to `text` under names of their own, ahead of
/// the version.
void add_stage_parameters(std::size_t stage, const StageOptions& options,
                          std::vector<std::pair<std::string, std::string>> own, Infotext& text);

}  // namespace daguerre
