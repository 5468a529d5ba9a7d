#pragma once

#include <filesystem>
#include <span>
#include <string>

namespace daguerre::evaluation {

/// A SHA-256 that tells files and folders from others, however large they are: of the names below a folder
/// that models are made of (.json, .txt, .model, .safetensors, .gguf …), the sizes, and the contents, of
/// files above 64 MB so many pieces of 1 MB, spread evenly. Where they lie does not matter, and a file that
/// is named twice counts once. Throws FileError.
std::string file_fingerprint(std::span<const std::filesystem::path> files);

}  // namespace daguerre::evaluation
