#pragma once

#include <filesystem>
#include <span>
#include <string_view>

namespace daguerre::text {

/// The first of `folders`, or of their folders "tokenizer", "tokenizer_2" and "tokenizer_3", that has a
/// vocabulary. Throws FileError where there is none; `advice` says what to do.
std::filesystem::path find_tokenizer_folder(std::span<const std::filesystem::path> folders,
                                            bool (*has_vocabulary)(const std::filesystem::path&),
                                            std::string_view advice);

}  // namespace daguerre::text
