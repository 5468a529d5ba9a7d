#include "daguerre/weights/convert.hpp"

#include <algorithm>
#include <array>
#include <random>
#include <system_error>
#include <utility>

#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/families.hpp"
#include "weights/gguf_convert.hpp"
#include "weights/quantise.hpp"
#include "weights/single_file_names.hpp"
#include "weights/tensor_stream.hpp"
#include "weights/weight_files.hpp"

namespace daguerre::weights {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view convert_name = "convert";
constexpr std::string_view model_index_file = "model_index.json";
// Without it transformers and diffusers do not take a file.
const std::map<std::string, std::string>& torch_metadata() {
  static const std::map<std::string, std::string> metadata{{"format", "pt"}};
  return metadata;
}

bool is_present(const fs::path& path) {
  std::error_code error;
  return fs::exists(fs::symlink_status(path, error));
}

/// `path`, without a slash at its end, and a name beside it that nobody else has.
fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}
fs::path beside(const fs::path& path, std::string_view ending) {
  std::random_device random;
  fs::path result = path;
  result.concat(".").concat(std::to_string(random())).concat(ending);
  return result;
}

/// Where the result grows. What is not put in place is removed.
class Workplace {
 public:
  Workplace(fs::path target, bool force)
      : target_(without_slash(target)), temporary_(beside(target_, ".tmp")) {
    if (!is_present(target_)) return;
    if (!force)
      throw FileError(
          convert_name,
          target_.string() + ": is there already; --force (ConvertOptions::force) " + "replaces it");
    std::error_code error;
    if (fs::is_directory(target_, error) && !fs::is_empty(target_, error) &&
        !is_present(target_ / model_index_file) && !is_present(target_ / "config.json"))
      throw FileError(convert_name,
                      target_.string() + ": is a folder of other things, which is not replaced");
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  ~Workplace() {
    std::error_code error;
    fs::remove_all(temporary_, error);
  }

  const fs::path& path() const noexcept { return temporary_; }

  void put_in_place() {
    std::error_code error;
    const bool replaces_folder = fs::is_directory(fs::symlink_status(target_, error));
    const fs::path old = beside(target_, ".old");
    if (replaces_folder) move(target_, old);
    try {
      move(temporary_, target_);
    } catch (...) {
      if (replaces_folder) fs::rename(old, target_, error);
      throw;
    }
    if (replaces_folder) fs::remove_all(old, error);
  }

 private:
  void move(const fs::path& from, const fs::path& to) const {
    std::error_code error;
    fs::rename(from, to, error);
    if (error) throw FileError(convert_name, target_.string() + ": cannot be written: " + error.message());
  }
  fs::path target_, temporary_;
};

void make_folder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) throw FileError(convert_name, path.string() + ": cannot be made: " + error.message());
}

void check_room(const fs::path& target, std::uint64_t bytes) {
  std::error_code error;
  const fs::path whole = fs::absolute(without_slash(target), error);
  if (!whole.has_parent_path() || !is_present(whole.parent_path()))
    throw FileError(convert_name, target.string() + ": the folder that it should be in is not there");
  const auto space = fs::space(whole.parent_path(), error);
  if (!error && space.available < bytes)
    throw FileError(convert_name, target.string() + ": needs " + std::to_string(bytes) +
                                      " bytes, there are " + std::to_string(space.available));
}

/// The types that are written.
void convert_types(std::vector<StreamedTensor>& tensors, const ConvertOptions& options) {
  if (!options.type) return;
  constexpr std::array possible{DType::f32, DType::f16, DType::bf16};
  if (std::find(possible.begin(), possible.end(), *options.type) == possible.end())
    throw ArgumentError(convert_name, "type is " + std::string(name(*options.type)) +
                                          ", expected F32, F16 or BF16; others are for GGUF files");
  for (auto& tensor : tensors) {
    if (is_convertible(tensor.dtype)) tensor.dtype = *options.type;
  }
}

/// Sources of one tensor may have several types; what is written has the first one's, if that holds all, and
/// float32 in place of types that nothing is rounded to.
void check_joined_types(std::vector<StreamedTensor>& tensors) {
  for (auto& tensor : tensors)
    for (const auto& [weights, source] : tensor.sources) {
      const DType dtype = element_type(weights.find(source)->dtype);
      const bool is_rounded_to =
          tensor.dtype != DType::f64 && tensor.dtype != DType::f8_e4m3 && tensor.dtype != DType::f8_e5m2;
      if (dtype != tensor.dtype && is_convertible(tensor.dtype) && !is_rounded_to) tensor.dtype = DType::f32;
      if (dtype != tensor.dtype && !(is_convertible(dtype) && is_convertible(tensor.dtype)))
        throw WeightError(convert_name, "tensor " + in_quotes(tensor.name) + " cannot be made of " +
                                            std::string(name(dtype)) + " elements");
    }
}

/// Counts what is written for the host, and stops when it wishes.
class Progress {
 public:
  Progress(const ConvertOptions& options, std::uint64_t total) : options_(options), total_(total) { tell(0); }
  void check() const {
    if (options_.stop.stop_requested()) throw Cancelled(convert_name, "stopped");
  }
  void tell(std::uint64_t bytes) {
    check();
    written_ += bytes;
    if (options_.on_progress) options_.on_progress(written_, total_);
  }

 private:
  const ConvertOptions& options_;
  std::uint64_t total_, written_ = 0;
};

bool is_gguf_name(const fs::path& target) {
  return target.extension() == ".gguf";
}

Converted write_gguf(std::vector<StreamedTensor> tensors, const std::string& architecture,
                     const fs::path& target, const ConvertOptions& options) {
  constexpr std::array possible{DType::f32, DType::f16, DType::bf16};
  if (options.type && std::find(possible.begin(), possible.end(), *options.type) == possible.end() &&
      !can_quantise(*options.type))
    throw ArgumentError(convert_name,
                        "type is " + std::string(name(*options.type)) + ", to which nothing can be rounded");
  Workplace place(target, options.force);
  check_joined_types(tensors);
  choose_gguf_types(tensors, options.type);
  Converted result{target, data_bytes(tensors), {}};
  check_room(target, result.bytes);
  Progress progress(options, result.bytes);
  const auto metadata = gguf_metadata(tensors, architecture);
  stream_gguf(place.path(), std::move(tensors), metadata, [&](std::uint64_t bytes) { progress.tell(bytes); });
  progress.check();
  place.put_in_place();
  return result;
}

/// `metadata` is for safetensors files, `architecture` for GGUF files.
Converted write_single(std::vector<StreamedTensor> tensors,
                       const std::map<std::string, std::string>& metadata, const std::string& architecture,
                       const fs::path& target, const ConvertOptions& options) {
  if (is_gguf_name(target)) return write_gguf(std::move(tensors), architecture, target, options);
  Workplace place(target, options.force);
  convert_types(tensors, options);
  check_joined_types(tensors);
  Converted result{target, data_bytes(tensors), {}};
  check_room(target, result.bytes);
  Progress progress(options, result.bytes);
  stream_safetensors(place.path(), std::move(tensors), metadata,
                     [&](std::uint64_t bytes) { progress.tell(bytes); });
  progress.check();
  place.put_in_place();
  return result;
}

std::vector<StreamedTensor> as_they_are(const StateDict& weights) {
  std::vector<StreamedTensor> result;
  for (const auto& tensor : weights.names())
    result.push_back(
        {tensor, element_type(weights.find(tensor)->dtype), weights.shape(tensor), {{weights, tensor}}});
  return result;
}

void write_text(const fs::path& path, const std::string& text) {
  write_file(convert_name, path, std::as_bytes(std::span(text)));
}

/// The folders of a model that have no weights (tokenizers, image processors), file by file.
void copy_other_parts(const Checkpoint& source, const fs::path& target) {
  constexpr std::uintmax_t largest = 64 << 20;
  std::error_code error;
  for (fs::directory_iterator part(source.folder, error), end; !error && part != end; part.increment(error)) {
    const std::string folder = part->path().filename().string();
    std::error_code ignored;
    if (!fs::is_directory(part->path(), ignored) || source.find(folder) != nullptr || folder == "scheduler" ||
        !source.model_index->has(folder) || folder == "safety_checker")
      continue;
    make_folder(target / folder);
    for (fs::directory_iterator file(part->path(), ignored); !ignored && file != end; file.increment(ignored))
      if (fs::is_regular_file(file->path(), ignored))
        write_file(convert_name, target / folder / file->path().filename(),
                   read_file(convert_name, file->path(), largest));
  }
}

void write_part(const CheckpointPart& part, std::vector<StreamedTensor> tensors, const fs::path& folder,
                Progress& progress) {
  make_folder(folder);
  write_text(folder / "config.json", part.config.dump());
  stream_safetensors(
      folder / (part.library == "transformers" ? "model.safetensors" : "diffusion_pytorch_model.safetensors"),
      std::move(tensors), torch_metadata(), [&](std::uint64_t bytes) { progress.tell(bytes); });
}

/// What a tokenizer's folder has to hold.
std::string vocabulary_files(const CheckpointTokenizer& tokenizer) {
  return tokenizer.class_name.starts_with("T5") ? "spiece.model" : "vocab.json and merges.txt";
}

Converted write_folder(const Checkpoint& source, const fs::path& target, const ConvertOptions& options) {
  if (source.parts.empty())
    throw ConfigError(convert_name,
                      source.source + ": this is " + source.title +
                          ", which is no folder of a model; a .safetensors file can be written");
  Workplace place(target, options.force);
  std::vector<std::vector<StreamedTensor>> tensors;
  Converted result{target, 0, {}};
  for (const auto& part : source.parts) {
    tensors.push_back(as_they_are(part.weights));
    convert_types(tensors.back(), options);
    result.bytes += data_bytes(tensors.back());
  }
  check_room(target, result.bytes);
  Progress progress(options, result.bytes);
  make_folder(place.path());
  const bool is_model = source.model_index.has_value();
  for (std::size_t i = 0; i < source.parts.size(); ++i)
    write_part(source.parts[i], std::move(tensors[i]),
               is_model ? place.path() / source.parts[i].name : place.path(), progress);
  if (is_model) write_text(place.path() / model_index_file, source.model_index->dump());
  if (source.scheduler) {
    make_folder(place.path() / "scheduler");
    write_text(place.path() / "scheduler" / "scheduler_config.json", source.scheduler->dump());
  }
  if (!source.folder.empty()) copy_other_parts(source, place.path());
  for (const auto& [file, text] : options.files) {
    const fs::path path = (place.path() / file).lexically_normal();
    if (fs::path(file).is_absolute() || file.find("..") != file.npos)
      throw ArgumentError(convert_name, in_quotes(file) + " is not below the folder");
    make_folder(path.parent_path());
    write_text(path, text);
  }
  for (const auto& missing : missing_in_words(source))
    result.notes.push_back("the " + missing + ", is missing: " + source.source + " does not hold it");
  for (const auto& tokenizer : source.tokenizers)
    if (!is_present(place.path() / tokenizer.name))
      result.notes.push_back("the " + tokenizer.name + " is missing: put " + vocabulary_files(tokenizer) +
                             " into its folder " + tokenizer.name);
  progress.check();
  place.put_in_place();
  return result;
}

/// Whether a denoiser is all there is.
bool is_denoiser_alone(const Checkpoint& source) {
  return source.parts.size() == 1 && denoiser_of_class(source.parts.front().class_name) != nullptr;
}

/// What ComfyUI-GGUF calls the network of a file that holds a denoiser alone.
std::string architecture_of(const Checkpoint& source) {
  return is_denoiser_alone(source) && !source.family.empty()
             ? std::string(family_called(source.family).architecture)
             : std::string();
}

}  // namespace

Converted convert_file(const StateDict& source, const fs::path& target, const ConvertOptions& options) {
  return write_single(as_they_are(source), source.metadata(), {}, target, options);
}

Converted convert_checkpoint(const Checkpoint& source, const fs::path& target,
                             const ConvertOptions& options) {
  if (target.extension() != ".safetensors" && !is_gguf_name(target))
    return write_folder(source, target, options);
  if (source.file) {
    std::vector<StreamedTensor> tensors;
    for (auto& tensor : as_they_are(*source.file))
      if (!tensor.name.starts_with("model_ema.")) tensors.push_back(std::move(tensor));
    return write_single(std::move(tensors), source.file->metadata(), architecture_of(source), target,
                        options);
  }
  std::vector<std::string> left_out;
  auto tensors = source.model_index && !is_denoiser_alone(source) ? single_file_tensors(source, left_out)
                                                                  : single_part_tensors(source.parts.front());
  auto result = write_single(std::move(tensors), torch_metadata(), architecture_of(source), target, options);
  for (const auto& part : left_out)
    result.notes.push_back("the " + part + " was left out: the layout has no place for it");
  return result;
}

}  // namespace daguerre::weights
