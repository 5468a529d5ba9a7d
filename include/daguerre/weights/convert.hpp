#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "daguerre/weights/checkpoint.hpp"

namespace daguerre::weights {

struct ConvertOptions {
  /// What tensors of floating-point numbers become: f32, f16 or bf16, rounded to nearest; nothing: what they
  /// are, but for ggml's blocks, which outside GGUF files become f32. A number too large for half precision
  /// is an error. In a GGUF file also q8_0, q6_k, q5_k, q5_1, q5_0, q4_k, q4_1, q4_0: tensors of one axis and
  /// those of at most 1024 numbers then become F32; convolutions, embeddings and a network's first and last
  /// layers stay F16 or BF16; rows that hold no whole blocks of 256 get the type of 32 next to it.
  std::optional<DType> type = std::nullopt;
  /// Replaces what is there. A folder is replaced only when it is empty or in diffusers' layout.
  bool force = false;
  /// Of a written folder, by path within it ("tokenizer/vocab.json"): files that the checkpoint does not
  /// hold.
  std::map<std::string, std::string> files = {};
  /// Told, as tensors are written, how many of how many bytes are.
  std::function<void(std::uint64_t written, std::uint64_t total)> on_progress = {};
  std::stop_token stop = {};
};

struct Converted {
  std::filesystem::path path;
  std::uint64_t bytes = 0;         ///< of all tensors
  std::vector<std::string> notes;  ///< what the result lacks or left out, in words
};

/// Writes a checkpoint in another form, tensor by tensor, so that memory holds little of it. `target` ending
/// in ".safetensors" or ".gguf" becomes one file in the original layout of its family (CompVis',
/// Stability's, Black Forest Labs'), a denoiser alone without a prefix; any other a folder in diffusers' layout. A checkpoint that came from a single file and
/// becomes one keeps its tensors' names, those that no network reads included, but for the averaged weights
/// (`model_ema.`); with `ema` among the options it was opened with, these take the others' place.
///
/// The result appears under its name when it is whole: until then it has a name of its own beside it, which
/// is removed on failure. Numbers that are not converted are equal bit by bit.
///
/// Throws FileError (the target is there, or cannot be written; not enough room), ConfigError for a model
/// that has no single-file layout, WeightError for a tensor that has no place in it, that cannot be converted
/// or whose numbers are too large, ArgumentError for a type that cannot be written there, Cancelled.
Converted convert_checkpoint(const Checkpoint& source, const std::filesystem::path& target,
                             const ConvertOptions& options = {});

/// The same for any safetensors or GGUF file, whose tensors keep their names: a LoRA, a text encoder alone.
/// `target` is a file.
Converted convert_file(const StateDict& source, const std::filesystem::path& target,
                       const ConvertOptions& options = {});

}  // namespace daguerre::weights
