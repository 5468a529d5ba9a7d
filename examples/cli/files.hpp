#pragma once

#include <filesystem>
#include <string_view>

#include <daguerre/core/tensor.hpp>

namespace daguerre::cli {

/// Finds out, by writing a file beside it, whether `path` will be writable. Throws FileError in the name of
/// `option`.
void check_writable(std::string_view option, const std::filesystem::path& path);

/// "dir/name.png" as "dir/name_3.png" for number 3.
std::filesystem::path numbered(const std::filesystem::path& path, int number);

/// Latents `[N, h, w, C]` from the tensor "latents", or the only tensor, of a safetensors file, where they
/// are
/// `[N, C, h, w]`. Throws FileError, FormatError, WeightError.
Tensor<float> read_latents(const std::filesystem::path& path);
/// Writes such a file.
void write_latents(const std::filesystem::path& path, const Tensor<float>& latents);

}  // namespace daguerre::cli
