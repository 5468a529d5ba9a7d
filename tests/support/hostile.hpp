#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace daguerre::test {

/// A file that no reader may accept, made by a rule and always the same.
struct HostileFile {
  std::string name;     ///< what is wrong with it
  std::string path;     ///< the file of a Stable Diffusion folder whose place it takes; empty for others
  std::string content;  ///< bytes
};

/// `model` is a valid folder of a Stable Diffusion model, whose files are taken apart.
std::vector<HostileFile> hostile_safetensors(const std::filesystem::path& model);
/// GGUF files by themselves, with no place in a model.
std::vector<HostileFile> hostile_gguf();
std::vector<HostileFile> hostile_configs(const std::filesystem::path& model);
std::vector<HostileFile> hostile_indexes();
std::vector<HostileFile> hostile_tokenizers(const std::filesystem::path& model);
/// What may stand in the place of vocab.json and merges.txt.
std::vector<HostileFile> hostile_tokenizer_json(const std::filesystem::path& model);
/// PNG files whose picture cannot be decoded.
std::vector<HostileFile> hostile_pictures();
/// JPEG and BMP files whose picture cannot be decoded.
std::vector<HostileFile> hostile_jpegs();
std::vector<HostileFile> hostile_bmps();
/// PNG files with malformed text.
std::vector<HostileFile> hostile_png_text();

/// `count` times `text`.
std::string repeated(std::string_view text, std::size_t count);
/// Texts that are not a JSON object, or not one that may be read.
std::vector<HostileFile> hostile_json(const std::string& path);

}  // namespace daguerre::test
