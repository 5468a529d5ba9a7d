#include "weights/weight_files.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <system_error>

#include "daguerre/error.hpp"
#include "weights/json.hpp"
#include "weights/text.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view who = "weights";
constexpr std::string_view index_suffix = ".index.json";

// In the order in which they are looked for. Newer and older diffusers name the index of a variant
// differently.
constexpr std::array<std::string_view, 11> usual_names{
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "weights.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors",
    "diffusion_pytorch_model.fp16.safetensors.index.json",
    "model.fp16.safetensors.index.json",
    "diffusion_pytorch_model.safetensors.index.fp16.json",
    "model.safetensors.index.fp16.json",
};

bool is_index(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(index_suffix) || name.ends_with(".index.fp16.json");
}

// A pickle file directly in `folder`; empty when there is none.
fs::path find_pickle(const fs::path& folder) {
  constexpr std::array<std::string_view, 4> extensions{".bin", ".ckpt", ".pt", ".pth"};
  std::error_code error;
  fs::path first;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const auto& path = entry->path();
    if (std::find(extensions.begin(), extensions.end(), path.extension().string()) != extensions.end() &&
        (first.empty() || path < first))
      first = path;
  }
  return first;
}

fs::path find_in_folder(const fs::path& folder) {
  std::string tried;
  for (const auto name : usual_names) {
    std::error_code error;
    if (fs::exists(folder / name, error)) return folder / name;
    tried.append(tried.empty() ? "" : ", ").append(name);
  }
  const std::string found_none = folder.string() + ": no safetensors file found; ";
  if (const auto pickle = find_pickle(folder); !pickle.empty())
    throw FileError(who, found_none + pickle.filename().string() +
                             " is a Python pickle, which is not read because it can run code" +
                             std::string(pickle_conversion_hint));
  throw FileError(who, found_none + "looked for " + tried);
}

std::vector<SafetensorsFile> open_shards(const fs::path& index_path, const SafetensorsOptions& options) {
  const std::string source = index_path.string();
  const auto malformed = [&](const std::string& problem) {
    return FormatError(who, source + ": " + problem);
  };
  const auto index = parse_json(read_text_file(index_path, max_config_bytes), source);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty())
    throw malformed("expected an object \"weight_map\" of tensor names and shard names");

  std::map<std::string, std::vector<std::string>> promised;  // of every shard
  for (const auto& [tensor, shard] : map->items()) {
    if (!shard.is_string()) throw malformed("the shard of tensor " + in_quotes(tensor) + " must be a string");
    promised[shard.get<std::string>()].push_back(tensor);
  }
  for (const auto& [shard, tensors] : promised)
    if (!is_plain_name(shard))
      throw malformed("shard " + in_quotes(shard) + " must be the name of a file in the same folder");

  std::vector<SafetensorsFile> files;
  for (const auto& [shard, tensors] : promised) {
    files.push_back(SafetensorsFile::open(index_path.parent_path() / shard, options));
    for (const auto& tensor : tensors)
      if (!files.back().contains(tensor))
        throw WeightError(who, files.back().name() + ": tensor " + in_quotes(tensor) + " is missing, which " +
                                   source + " promises to be there");
  }
  return files;
}

}  // namespace

bool is_plain_name(std::string_view name) {
  // Separators and drive letters of any system, so that a folder means the same everywhere; no system takes
  // names of more than 255 bytes.
  return !name.empty() && name.size() <= 255 && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\:\0", 4)) == std::string_view::npos;
}

std::vector<SafetensorsFile> open_weight_files(const fs::path& path, const SafetensorsOptions& options) {
  std::error_code error;
  const fs::path file = fs::is_directory(path, error) ? find_in_folder(path) : path;
  if (is_index(file)) return open_shards(file, options);
  return {SafetensorsFile::open(file, options)};
}

}  // namespace daguerre::weights
