#include "weights/weight_files.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "config/json.hpp"
#include "core/attempt.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "daguerre/weights/gguf.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;

// Variants that may stand where nothing without one does. Others, such as non_ema, are another model.
constexpr std::array<std::string_view, 3> variants{"fp16", "bf16", "fp32"};

bool is_index(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".json") && name.find(".index.") != std::string::npos;
}

// The names of `stem`'s weights. Indexes of a variant have had three forms.
std::vector<std::string> names_of(std::string_view stem, std::string_view variant, bool index_first) {
  const std::string base(stem), v(variant);
  std::vector<std::string> single, index;
  if (variant.empty()) {
    single = {base + ".safetensors"};
    index = {base + ".safetensors.index.json"};
  } else {
    single = {base + "." + v + ".safetensors"};
    index = {base + ".safetensors.index." + v + ".json", base + ".safetensors." + v + ".index.json",
             base + "." + v + ".safetensors.index.json"};
  }
  auto& first = index_first ? index : single;
  const auto& second = index_first ? single : index;
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

// In the order in which they are looked for. Where there are shards and a whole file, diffusers takes the
// shards, transformers the file.
std::vector<std::string> usual_names(const WeightNames& names) {
  using enum WeightNames::Library;
  std::vector<std::string> result;
  const auto add = [&](WeightNames::Library library, std::string_view variant) {
    const bool diffusers_own = library == diffusers;
    const auto more = names_of(diffusers_own ? "diffusion_pytorch_model" : "model", variant, diffusers_own);
    result.insert(result.end(), more.begin(), more.end());
  };
  const auto first = names.library == transformers ? transformers : diffusers;
  const auto second = first == diffusers ? transformers : diffusers;
  const auto add_variant = [&](std::string_view variant) {
    add(first, variant);
    if (!names.only) add(second, variant);
  };
  if (!names.variant.empty()) {
    add_variant(names.variant);
    return result;
  }
  add_variant({});
  if (!names.only) result.emplace_back("weights.safetensors");
  for (const auto variant : variants) add_variant(variant);
  return result;
}

// Whose file it is, for those that hold weights in a form that is not read; empty for others.
std::string_view foreign_format(const fs::path& path) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> known{{{".bin", "a Python pickle"},
                                                                                {".ckpt", "a Python pickle"},
                                                                                {".pt", "a Python pickle"},
                                                                                {".pth", "a Python pickle"},
                                                                                {".msgpack", "Flax's"},
                                                                                {".h5", "TensorFlow's"},
                                                                                {".onnx", "an ONNX graph"}}};
  const auto extension = path.extension().string();
  for (const auto& [ending, format] : known)
    if (extension == ending) return format;
  return {};
}

// Files with weights directly in `folder`, sorted: those in a foreign format, and those that are read.
struct OtherWeights {
  std::vector<fs::path> foreign, safetensors, gguf;
};
OtherWeights other_weights(const fs::path& folder) {
  OtherWeights result;
  std::error_code error;
  std::size_t seen = 0;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end && ++seen < 10'000;
       entry.increment(error)) {
    if (!foreign_format(entry->path()).empty()) result.foreign.push_back(entry->path().filename());
    if (entry->path().extension() == ".safetensors") result.safetensors.push_back(entry->path().filename());
    if (entry->path().extension() == ".gguf") result.gguf.push_back(entry->path().filename());
  }
  std::sort(result.foreign.begin(), result.foreign.end());
  std::sort(result.safetensors.begin(), result.safetensors.end());
  std::sort(result.gguf.begin(), result.gguf.end());
  return result;
}

fs::path find_in_folder(const fs::path& folder, const WeightNames& names) {
  if (auto found = find_weight_file(folder, names); !found.empty()) return found;
  const auto usual = usual_names(names);
  const std::string first = folder.string() + ": ";
  std::string looked_for;
  for (const auto& name : usual)
    if (!is_index(name)) looked_for += (looked_for.empty() ? "looked for " : ", ") + name;
  looked_for += " and indexes of shards";
  const auto others = other_weights(folder);
  if (!others.safetensors.empty())
    throw FileError(weights_name, first + "no safetensors file of a usual name; there is " +
                                      in_quotes(others.safetensors.front().string()) +
                                      ", which has to be renamed if it is the one; " + looked_for);
  if (!others.gguf.empty())
    throw FileError(weights_name, first + "no safetensors file found; there is " +
                                      in_quotes(others.gguf.front().string()) +
                                      ", which can be given by its own path; " + looked_for);
  if (others.foreign.empty())
    throw FileError(weights_name, first + "no safetensors file found; " + looked_for);
  const auto format = foreign_format(others.foreign.front());
  const std::string found = first + "no safetensors file found; " + others.foreign.front().string() + " is ";
  if (format == "a Python pickle")
    throw FileError(weights_name, found + "a Python pickle, which is not read because it can run code" +
                                      std::string(pickle_conversion_hint));
  throw FileError(weights_name,
                  found + std::string(format) +
                      ", which is not read; save_pretrained of the model's class in Python writes a "
                      "safetensors file");
}

using Files = std::vector<std::shared_ptr<const TensorFile>>;

std::shared_ptr<const TensorFile> open_file(const fs::path& path, const SafetensorsOptions& options) {
  if (is_gguf(path)) return std::make_shared<const GgufFile>(GgufFile::open(path, options));
  return std::make_shared<const SafetensorsFile>(SafetensorsFile::open(path, options));
}

Files open_shards(const fs::path& index_path, const SafetensorsOptions& options) {
  const std::string source = index_path.string();
  const auto malformed = [&](const std::string& problem) {
    return FormatError(weights_name, source + ": " + problem, index_path);
  };
  const auto index =
      naming(index_path, [&] { return parse_json(read_text_file(index_path, max_config_bytes), source); });
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

  Files files;
  for (const auto& [shard, tensors] : promised) {
    const auto file = SafetensorsFile::open(index_path.parent_path() / shard, options);
    files.push_back(std::make_shared<const SafetensorsFile>(file));
    for (const auto& tensor : tensors)
      if (!file.contains(tensor))
        throw WeightError(weights_name,
                          file.name() + ": tensor " + in_quotes(tensor) + " is missing, which " + source +
                              " promises to be there",
                          file.path());
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

fs::path find_weight_file(const fs::path& folder, const WeightNames& names) {
  if (!names.variant.empty() && !is_plain_name(names.variant))
    throw ArgumentError(weights_name, "variant " + in_quotes(names.variant) + " is no part of a file's name");
  std::error_code error;
  for (const auto& name : usual_names(names))
    if (fs::exists(folder / name, error)) return folder / name;
  // Names without a variant in a folder of its name.
  if (!names.variant.empty() && fs::is_directory(folder / names.variant, error))
    return find_weight_file(folder / names.variant, {names.library, names.only});
  return {};
}

Files open_weight_files(const fs::path& path, const SafetensorsOptions& options, const WeightNames& names) {
  std::error_code error;
  const fs::path file = fs::is_directory(path, error) ? find_in_folder(path, names) : path;
  if (is_index(file)) return open_shards(file, options);
  return {open_file(file, options)};
}

}  // namespace daguerre::weights
