#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "daguerre/weights/safetensors.hpp"

namespace daguerre::weights {

/// What one part of a model consists of.
struct ComponentDescription {
  std::string name;            ///< "unet", "vae" … as in model_index.json; empty for a file or lone folder
  std::filesystem::path path;  ///< the file or folder
  /// `_class_name` or `architectures` of its config.json, or the class in model_index.json. Without either, a
  /// guess from the tensors' names: "UNet2DConditionModel", "UNet2DModel", "DiTTransformer2DModel", "DiT in
  /// the original layout", "SD3Transformer2DModel", "FluxTransformer2DModel", "PixArtTransformer2DModel",
  /// these with " in the original layout" behind them, "AutoencoderKL", "CLIPTextModel", "T5EncoderModel" or
  /// that "under llama.cpp's names", "CompVis checkpoint", "LoRA" or "unknown".
  std::string class_name;
  bool class_guessed = false;
  std::vector<std::string> files;   ///< the files of weights, by path; none for schedulers and tokenizers
  std::vector<TensorInfo> tensors;  ///< in the order of the data, file after file
  std::map<DType, std::size_t> dtype_counts;
  std::int64_t parameters = 0;  ///< elements of all tensors
  std::uint64_t bytes = 0;      ///< of all tensors
  /// Why the weights could not be read, for a component of a model folder that should have some; else empty.
  std::string problem;
};

/// What is in a file or folder.
struct ModelDescription {
  enum class Kind { safetensors_file, gguf_file, sharded_index, component_folder, model_folder };
  Kind kind = Kind::safetensors_file;
  std::filesystem::path path;
  std::string class_name;  ///< of the pipeline in model_index.json; empty for other kinds
  std::vector<ComponentDescription> components;  ///< one, unless this is a model folder
};

/// Describes a safetensors or GGUF file, an index of shards, the folder of one component, or a model folder
/// (one with model_index.json). Only headers and configurations are read. Throws FileError and FormatError as
/// `StateDict::load` does; in a model folder what is wrong with a component goes into its `problem`.
ModelDescription inspect(const std::filesystem::path& path, const SafetensorsOptions& options = {});

}  // namespace daguerre::weights
