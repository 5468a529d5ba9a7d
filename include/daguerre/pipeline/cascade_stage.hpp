#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/core/shape.hpp"
#include "daguerre/media/infotext.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre {

/// How one stage of a cascade makes its pictures. What is not given is as the stage's model has it.
struct StageOptions {
  std::optional<int> steps{};
  std::optional<float> guidance_scale{};
  std::optional<std::string> sampler{};  ///< as Request::Sampling::sampler
  std::optional<double> eta{};
  std::optional<double> strength{};  ///< 0..1, of stages that start from the picture (image to image)
  std::optional<int> noise_level{};  ///< of stages that enlarge by diffusion, as Request::Input::noise_level
  /// Sides of what comes out to those of the picture that comes in.
  std::optional<double> scale{};
  std::optional<Index> width{}, height{};  ///< instead, in pixels; one alone keeps the proportions
  /// In the place of the cascade's.
  std::optional<std::string> prompt{}, negative_prompt{};
  /// Is added to each picture's seed, so that a stage of the same size draws other noise than the one before.
  std::optional<std::uint64_t> seed_offset{};
  std::optional<Index> tile{}, tile_overlap{};  ///< of upscalers, as UpscaleOptions

  /// These, and where they say nothing, what `others` say. A width or height, or a scale, stands for all
  /// three.
  StageOptions over(const StageOptions& others) const;
  /// Sets the option of that name in cascade.json from a text: "steps", "20". Throws ArgumentError for a name
  /// that there is not, naming those there are, and for a text that is no such value.
  void set(std::string_view name, const std::string& value);
};

/// One stage: a model or an upscaler's network, and how it is used.
struct CascadeStage {
  std::string name{};            ///< for messages and the settings' text; empty: the path's
  std::filesystem::path path{};  ///< what Pipeline::load takes, or Upscaler::load
  /// Folders of parts in the place of the model's own: {"text_encoder": …}. Stages whose text encoders are
  /// the same files share one.
  std::map<std::string, std::filesystem::path> parts{};
  std::optional<Precision> precision{};  ///< in the place of LoadOptions::precision
  StageOptions options{};
};

/// What a cascade consists of, as a cascade.json says it:
///
///     {"version": 1,
///      "stages": [{"path": "if-i", "steps": 100, "guidance_scale": 7.0},
///                 {"path": "if-ii", "parts": {"text_encoder": "if-i/text_encoder"}, "noise_level": 250},
///                 {"path": "../x4.safetensors"}]}
///
/// Paths are relative to the file's folder; all options of StageOptions, and "name" and "precision", may
/// stand in a stage.
struct CascadeDescription {
  std::string name{};
  std::vector<CascadeStage> stages{};

  /// Reads the file, or the cascade.json in that folder. Throws FileError, FormatError, or ConfigError for
  /// keys that are not known, values that are not possible, and another version.
  static CascadeDescription read(const std::filesystem::path& path);
  /// Of models alone, in the order in which they follow each other.
  static CascadeDescription of(const std::vector<std::filesystem::path>& paths);
};

/// What a picture's settings say of the stages behind the first one, for making it again: an entry for each
/// stage, that of the first being empty. What belongs to stages is taken out of `infotext`, which is then as
/// the first stage's model would have written it.
std::vector<StageOptions> take_stage_options(Infotext& infotext);

}  // namespace daguerre
