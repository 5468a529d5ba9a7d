#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "daguerre/weights/gguf_writer.hpp"
#include "weights/tensor_stream.hpp"

namespace daguerre::weights {

/// The types that a GGUF file's tensors get. Without `type` they stay what they are, F8_* becoming F16, which
/// holds all its numbers. Else tensors of one axis and those of at most 1024 numbers become F32 and the
/// others `type`, as stable-diffusion.cpp and ComfyUI-GGUF choose: what is no matrix of whole blocks
/// (convolutions) and what is sensitive (a network's first and last layers, embeddings) stays F16 or BF16.
/// Rows that hold no whole blocks of 256 get the type of 32 that llama.cpp falls back to. Throws WeightError
/// for types that GGUF has not.
void choose_gguf_types(std::vector<StreamedTensor>& tensors, std::optional<DType> type);

/// What the metadata say: `architecture` is ComfyUI-GGUF's name for a network that is alone in its file.
std::map<std::string, GgufMetadata> gguf_metadata(const std::vector<StreamedTensor>& tensors,
                                                  const std::string& architecture);

}  // namespace daguerre::weights
