#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/config/config.hpp"
#include "daguerre/weights/state_dict.hpp"

namespace daguerre::weights {

/// One network of a checkpoint: all that the folder of a component in diffusers' layout would say.
struct CheckpointPart {
  std::string name;        ///< "unet", "transformer", "vae", "text_encoder" …, as in model_index.json
  std::string library;     ///< "diffusers", "transformers"
  std::string class_name;  ///< "UNet2DConditionModel"
  Config config;
  StateDict weights;  ///< under diffusers' and transformers' names, read from the file when asked for
};

/// A tokenizer that a checkpoint's text encoders need and that, as a rule, no checkpoint file holds.
struct CheckpointTokenizer {
  std::string name;                          ///< "tokenizer", "tokenizer_2"
  bool pads_with_id_0 = false;               ///< with "!", as OpenCLIP's are; else with the end of text
  std::string class_name = "CLIPTokenizer";  ///< or "T5TokenizerFast"
  /// A GGUF file of llama.cpp's whose metadata hold it (`tokenizer.ggml.*`); empty: there is none.
  std::filesystem::path vocabulary = {};
};

/// What a file or folder with the weights of one or more networks is.
struct Checkpoint {
  /// "sd1", "sd1-inpaint", "sd1-pix2pix", "sd2", "sd2-v", "sd2-inpaint", "sd2-pix2pix", "sdxl",
  /// "sdxl-inpaint", "sdxl-pix2pix", "sdxl-refiner", "sd3", "sd35-medium", "sd35-large", "flux-dev",
  /// "flux-kontext", "flux-schnell", "flux-fill", "flux-control", "pixart-alpha", "pixart-alpha-512",
  /// "pixart-sigma" for whole models and for their denoiser alone; "vae", "clip-l", "clip-h", "clip-g", "t5",
  /// "umt5", "lora", "controlnet", "t2i-adapter", "textual-inversion" for what is no model. Empty for a
  /// folder of another pipeline.
  std::string family;
  std::string title;           ///< the family in words: "Stable Diffusion XL"
  std::string pipeline_class;  ///< of diffusers: "StableDiffusionXLPipeline"; empty for what is no model
  std::optional<Config> model_index;  ///< what model_index.json would say, likewise
  std::optional<Config> scheduler;    ///< what scheduler_config.json would say, likewise
  std::vector<CheckpointPart> parts;
  std::vector<CheckpointTokenizer> tokenizers;  ///< that its text encoders need
  /// Names of the networks that are not here and without which there is no picture.
  std::vector<std::string> missing;
  /// Tensors that belong to no part and are not known as ones that published files leave over.
  std::vector<std::string> unknown;
  std::string source;  ///< the path, for messages
  /// All tensors of the single file that it was read from, under their own names; with `ema` the averages are
  /// in the others' place.
  std::optional<StateDict> file;
  std::filesystem::path folder;  ///< the model folder that it was read from; empty for a file

  /// nullptr when there is no such part.
  const CheckpointPart* find(std::string_view name) const;
  /// Whether it can make pictures, given its tokenizers.
  bool is_whole() const { return !pipeline_class.empty() && missing.empty(); }
};

struct CheckpointOptions {
  /// Overrides what the tensors' names and shapes say.
  std::string family = {};
  /// A folder with configurations of parts, `unet/config.json`, `transformer/config.json` and so on, and
  /// `scheduler/ scheduler_config.json`, each of which replaces the published one of the family.
  std::filesystem::path configs = {};
  /// "epsilon", "v_prediction" or "sample" in place of what the family predicts.
  std::string prediction_type = {};
  /// The averaged weights (`model_ema.`), where a file has both.
  bool ema = false;
  /// Of folders: "fp16" for `model.fp16.safetensors` and the like.
  std::string variant = {};
  SafetensorsOptions file = {};
};

/// Opens a single checkpoint file in the layout of CompVis or Stability (Stable Diffusion 1 and 2, XL, its
/// refiner; inpainting and InstructPix2Pix variants; Stable Diffusion 3 and 3.5) or Black Forest Labs
/// (FLUX.1), with encoders and autoencoder inside as Stability and ComfyUI put them, a file of one part alone
/// (with or without the whole's prefix, or under diffusers', transformers' or llama.cpp's names), or a folder
/// in diffusers' layout. It is recognised by the names and shapes of its tensors, never by the file's name;
/// only headers are read, and one small tensor to tell the two kinds of Stable Diffusion 2 apart. What shapes
/// cannot tell apart (FLUX.1 Kontext from dev, PixArt-alpha at 512 pixels from Sigma) is what `family` is
/// for. Weights of 8 bits with a scale of their own (ComfyUI's `scaled_fp8`) are multiplied by it.
///
/// Configurations are those that the family's models are published with, with widths, levels, layers,
/// channels and vocabularies as the tensors have them. Heads show where they are normed: Stable Diffusion 1
/// has eight, PixArt sixteen, all others one for every 64 channels.
///
/// Throws FileError, FormatError, WeightError for parts that do not fit together, ConfigError for a file that
/// is not recognised (naming the nearest families and the names for and against them), and ArgumentError for
/// a family that is none.
Checkpoint open_checkpoint(const std::filesystem::path& path, const CheckpointOptions& options = {});
/// The same for weights that are open already, of one file.
Checkpoint open_checkpoint(const StateDict& stored, const CheckpointOptions& options = {});

/// One model of separate files: a denoiser (alone or in a whole model), and an autoencoder and text encoders,
/// of which each takes the place that it is missing or replaces the one that is there. Their configurations
/// are made to fit the denoiser's family. Throws ArgumentError when there is not exactly one denoiser, for a
/// part that the family has no place for, and for two of one kind; WeightError for parts that do not fit
/// together.
Checkpoint join_checkpoints(std::span<const Checkpoint> parts);

/// The parts that are missing, with what they are and what their files are called as a rule:
/// "text_encoder_2, a T5 text encoder (as t5xxl_fp16.safetensors)".
std::vector<std::string> missing_in_words(const Checkpoint& checkpoint);

/// All families that `CheckpointOptions::family` can name.
std::vector<std::string> checkpoint_families();

}  // namespace daguerre::weights
