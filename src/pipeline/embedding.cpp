#include "daguerre/pipeline/embedding.hpp"

#include <algorithm>
#include <cmath>

#include "daguerre/weights/safetensors.hpp"

namespace daguerre {
namespace {

constexpr const char* embedding_name = "embedding";
constexpr Index most_vectors = 1000;

/// Of which encoder a tensor is, where its name says so; "" for those of any.
bool is_general(std::string_view name) {
  return name == "emb_params" || name.starts_with("string_to_param");
}
bool is_of_encoder(std::string_view name) {
  return name == "clip_l" || name == "clip_g";
}

std::string list_of(std::span<const weights::TensorInfo> tensors) {
  constexpr std::size_t most = 4;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, tensors.size()); ++i)
    text += (i == 0 ? "\"" : ", \"") + tensors[i].name + "\"";
  return tensors.size() > most ? text + ", ..." : text;
}

}  // namespace

Embedding::Embedding(std::string name, std::map<std::string, Tensor<float>, std::less<>> vectors,
                     std::string source)
    : name_(std::move(name)), source_(std::move(source)), vectors_(std::move(vectors)) {
  const auto refuse = [&](const std::string& what) {
    throw ArgumentError(embedding_name, source_ + ": " + what);
  };
  if (name_.empty()) refuse("it has no name");
  if (vectors_.empty()) refuse("it has no vectors");
  for (auto& [key, tensor] : vectors_) {
    if (tensor.rank() == 1) tensor = tensor.reshape({1, tensor.dim(0)});
    if (tensor.rank() != 2 || tensor.empty() || tensor.dim(0) > most_vectors)
      refuse("vectors " + to_string(tensor.shape()) + ", expected [D] or [1 to " +
             std::to_string(most_vectors) + ", D]");
    for (const float value : std::as_const(tensor).span())
      if (!std::isfinite(value)) refuse("a number of its vectors is not finite");
  }
}

std::shared_ptr<const Embedding> Embedding::load(const std::filesystem::path& path, std::string name) {
  const auto file = weights::SafetensorsFile::open(path);
  const auto tensors = file.tensors();
  const auto refuse = [&](const std::string& what) {
    throw WeightError(embedding_name, path.string() + ": " + what, path);
  };
  std::map<std::string, Tensor<float>, std::less<>> vectors;
  for (const auto& info : tensors) {
    const bool own = is_general(info.name) || is_of_encoder(info.name);
    if (!own && tensors.size() > 1) continue;
    if (info.shape.rank() < 1 || info.shape.rank() > 2 || info.shape.size() == 0 ||
        (info.shape.rank() == 2 && info.shape[0] > most_vectors))
      refuse("tensor \"" + info.name + "\" is " + to_string(info.shape) + ", expected [D] or [1 to " +
             std::to_string(most_vectors) + ", D]");
    if (!own && name.empty()) name = info.name;
    auto floats = file.floats(info);
    for (const float value : std::as_const(floats).span())
      if (!std::isfinite(value)) refuse("tensor \"" + info.name + "\" has a number that is not finite");
    if (!vectors.emplace(is_of_encoder(info.name) ? info.name : "", std::move(floats)).second)
      refuse("it has several tensors of vectors: " + list_of(tensors));
  }
  if (vectors.empty())
    refuse(
        "no textual inversion: expected emb_params, clip_l and clip_g, or one tensor named after its token, "
        "found " +
        (tensors.empty() ? std::string("nothing") : list_of(tensors)));
  if (name.empty()) name = path.stem().string();
  return std::make_shared<const Embedding>(std::move(name), std::move(vectors), path.string());
}

const Tensor<float>* Embedding::vectors_for(std::string_view part, Index width, bool several) const {
  const std::string_view key = part == "text_encoder" ? "clip_l" : part == "text_encoder_2" ? "clip_g" : "";
  auto found = key.empty() ? vectors_.end() : vectors_.find(key);
  // A refiner's only encoder is the second, a small model may be given what was made for a large one's first.
  if (found == vectors_.end()) found = vectors_.find("");
  if (found == vectors_.end()) return nullptr;
  if (found->second.dim(1) == width) return &found->second;
  if (optional_ || (several && found->first.empty())) return nullptr;
  throw ArgumentError(embedding_name, source_ + " has vectors of " + std::to_string(found->second.dim(1)) +
                                          " numbers, the model's " + std::string(part) + " reads " +
                                          std::to_string(width));
}

std::shared_ptr<const Embedding> Embedding::where_it_fits() const {
  auto result = std::make_shared<Embedding>(*this);
  result->optional_ = true;
  return result;
}

std::vector<std::shared_ptr<const Embedding>> load_embeddings(const std::filesystem::path& folder) {
  std::error_code error;
  std::vector<std::filesystem::path> files;
  for (std::filesystem::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (entry->path().extension() == ".safetensors") files.push_back(entry->path());
  if (error) throw FileError(embedding_name, folder.string() + ": " + error.message(), folder);
  std::sort(files.begin(), files.end());
  std::vector<std::shared_ptr<const Embedding>> result;
  for (const auto& file : files) try {
      result.push_back(Embedding::load(file)->where_it_fits());
    } catch (const WeightError&) {
      continue;  // a LoRA, say
    }
  return result;
}

}  // namespace daguerre
