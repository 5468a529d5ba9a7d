#include "weights/gguf_convert.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/gguf_types.hpp"

namespace daguerre::weights {
namespace {

constexpr Index few_numbers = 1024;
/// ggml's count of changes in its blocks' layouts.
constexpr std::uint32_t quantization_version = 2;

bool is_sensitive(std::string_view name) {
  static constexpr std::array<std::string_view, 27> parts{"time_embed.",
                                                          "time_embedding.",
                                                          "label_emb.",
                                                          "add_embedding.",
                                                          "token_embedding.",
                                                          "position_embedding",
                                                          "img_in.",
                                                          "txt_in.",
                                                          "time_in.",
                                                          "vector_in.",
                                                          "guidance_in.",
                                                          "final_layer.",
                                                          "x_embedder.",
                                                          "t_embedder.",
                                                          "y_embedder.",
                                                          "context_embedder.",
                                                          "pos_embed",
                                                          "norm_out.",
                                                          "time_text_embed.",
                                                          "class_embedding.",
                                                          "csize_embedder.",
                                                          "ar_embedder.",
                                                          "t_block.1.",
                                                          "adaln_single.",
                                                          "caption_projection.",
                                                          "relative_attention_bias.",
                                                          "attn_rel_b."};
  // The last layer of a transformer under diffusers' names; those inside blocks are called so, too.
  return name == "proj_out.weight" || !name.ends_with("weight") ||
         std::any_of(parts.begin(), parts.end(),
                     [&](std::string_view part) { return name.find(part) != name.npos; });
}

/// What holds less than `type` in rows of `row` elements; half precision where nothing does.
DType type_for_rows(DType type, Index row) {
  if (row % block_of(type).elements == 0) return type;
  const DType smaller = type == DType::q4_k   ? DType::q5_0
                        : type == DType::q5_k ? DType::q5_1
                        : type == DType::q6_k ? DType::q8_0
                                              : type;
  return row % block_of(smaller).elements == 0 ? smaller : DType::f16;
}

bool is_floating(DType dtype) {
  return is_block(dtype) || is_convertible(dtype);
}

/// The type of what is stored, where one source is all; else of its elements.
DType stored_type(const StreamedTensor& tensor) {
  if (tensor.sources.size() != 1) return tensor.dtype;
  const auto& [weights, name] = tensor.sources.front();
  const auto source = weights.weight(name, weights.shape(name));
  const Index row = tensor.shape.rank() == 0 ? 1 : tensor.shape[-1];
  return row % block_of(source.dtype).elements == 0 ? source.dtype : tensor.dtype;
}

DType chosen(const StreamedTensor& tensor, std::optional<DType> type) {
  const bool is_8_bits = tensor.dtype == DType::f8_e4m3 || tensor.dtype == DType::f8_e5m2;
  const DType own = is_8_bits ? DType::f16 : tensor.dtype;
  if (!type) return is_8_bits ? own : stored_type(tensor);
  if (!is_floating(tensor.dtype)) return own;
  if (tensor.shape.rank() < 2 || tensor.shape.size() <= few_numbers) return DType::f32;
  if (!is_block(*type)) return *type;
  const DType precise = own == DType::bf16 ? DType::bf16 : DType::f16;
  if (is_sensitive(tensor.name)) return precise;
  const DType result = type_for_rows(*type, tensor.shape[-1]);
  return is_block(result) ? result : precise;
}

}  // namespace

void choose_gguf_types(std::vector<StreamedTensor>& tensors, std::optional<DType> type) {
  for (auto& tensor : tensors) {
    tensor.dtype = chosen(tensor, type);
    if (!ggml_of_dtype(tensor.dtype))
      throw WeightError("convert", "tensor " + in_quotes(tensor.name) + " has elements of type " +
                                       std::string(name(tensor.dtype)) + ", which a GGUF file cannot hold");
    if (tensor.shape.rank() > static_cast<int>(most_gguf_axes))
      throw WeightError("convert", "tensor " + in_quotes(tensor.name) + " has shape " +
                                       to_string(tensor.shape) +
                                       "; a GGUF file holds no more than four axes");
  }
}

std::map<std::string, GgufMetadata> gguf_metadata(const std::vector<StreamedTensor>& tensors,
                                                  const std::string& architecture) {
  std::map<std::string, GgufMetadata> result;
  if (!architecture.empty()) result["general.architecture"] = architecture;
  if (std::any_of(tensors.begin(), tensors.end(),
                  [](const StreamedTensor& tensor) { return is_block(tensor.dtype); }))
    result["general.quantization_version"] = quantization_version;
  return result;
}

}  // namespace daguerre::weights
