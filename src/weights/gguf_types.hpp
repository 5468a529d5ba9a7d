#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "daguerre/weights/gguf.hpp"

namespace daguerre::weights {

inline constexpr const char* gguf_name = "gguf";
inline constexpr std::string_view gguf_magic = "GGUF";
inline constexpr std::uint32_t gguf_version = 3;
inline constexpr std::size_t default_gguf_alignment = 32;
inline constexpr std::string_view alignment_key = "general.alignment";
/// ComfyUI-GGUF's: the shape of a tensor before its rows were made to hold whole blocks.
inline constexpr std::string_view orig_shape_key = "comfy.gguf.orig_shape.";
/// ggml's tensors have no more axes.
inline constexpr std::uint32_t most_gguf_axes = 4;

/// What ggml's number of a tensor type stands for; nullopt for those that are not read.
std::optional<DType> dtype_of_ggml(std::uint32_t type);
/// The other way; nullopt for types that GGUF has not.
std::optional<std::uint32_t> ggml_of_dtype(DType dtype);
/// The name of a tensor type that is known and not read; empty for numbers that mean nothing.
std::string_view unread_ggml_type(std::uint32_t type);

/// Bytes of a number or boolean; 0 for strings and arrays.
std::size_t gguf_size(GgufType type);

}  // namespace daguerre::weights
