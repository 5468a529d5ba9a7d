#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "daguerre/core/shape.hpp"
#include "daguerre/pipeline/lora.hpp"
#include "daguerre/pipeline/precision.hpp"

namespace daguerre {

/// A part of a loaded model.
struct PartInfo {
  std::string name;        ///< "unet"
  std::string class_name;  ///< "UNet2DConditionModel"
  std::string source;      ///< the file or folder that its weights come from; empty where they are not known
  WeightStorage weights = WeightStorage::packed;  ///< never automatic
  Residency residency = Residency::kept;          ///< likewise
  /// About what its weights take, in memory while they are there, or in the file where mapped.
  std::uint64_t weight_bytes = 0;
};

/// What a loaded model is and can do, and what was decided when it was loaded.
struct PipelineInfo {
  std::string name;        ///< of the model, for people: its folder's
  std::string class_name;  ///< of the pipeline in model_index.json
  std::string family;      ///< "sd", "sdxl", "dit" …
  /// What it can do: "txt2img", "class2img", "unconditional", "img2img", "inpaint", "edit", "upscale";
  /// of films "txt2vid", "img2vid", "vid2vid".
  std::vector<std::string> tasks;
  bool takes_prompt = false, takes_class = false, takes_guidance = false;
  bool takes_image = false;  ///< to start from, or to paint into
  bool needs_image = false;  ///< changes pictures, or paints into them, and does nothing else
  bool needs_mask = false;
  int noise_level = 0;          ///< of the small picture that is made large, by default
  bool takes_controls = false;  ///< ControlNets or T2I-Adapters may stand beside it, Request::controls
  Index width = 0,
        height = 0;          ///< that it was trained at; the size of pictures unless a request says another
  bool makes_films = false;  ///< pictures are its films of one frame
  Index frames = 1;          ///< of films, by default
  double frame_rate = 0.0;   ///< of films, by default
  bool takes_video = false;  ///< a film to start from or to follow, Request::film
  bool needs_condition = false;       ///< its films begin with a picture
  int steps = 0;                      ///< by default
  float guidance_scale = 0.0f;        ///< by default
  std::string sampler;                ///< by default, its class
  std::vector<std::string> samplers;  ///< the short names that Request::Sampling::sampler takes
  std::map<std::int32_t, std::string> class_names;
  std::vector<LoraInfo> loras;  ///< applied at load

  std::string engine;
  Precision precision = Precision::float32;       ///< never automatic
  WeightStorage weights = WeightStorage::packed;  ///< likewise; the denoiser's
  int threads = 1;
  std::vector<PartInfo> parts;     ///< in the order in which they were read
  std::uint64_t weight_bytes = 0;  ///< of all parts together, also of those that are not there at once
};

}  // namespace daguerre
