#include "daguerre/weights/safetensors.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "core/attempt.hpp"
#include "core/file_bytes.hpp"
#include "core/stored_elements.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "ops/engines/native/kernels.hpp"
#include "weights/names.hpp"
#include "weights/safetensors_header.hpp"

namespace daguerre::weights {
namespace {

/// What a thread converts at a time.
constexpr Index elements_per_piece = Index{1} << 18;

// As convert_elements; the commonest conversion has a kernel of its own.
template <class To>
bool convert_from(DType dtype, const std::byte* in, To* out, std::size_t count) {
  if constexpr (std::is_same_v<To, float>)
    if (dtype == DType::f16)
      return ops::kernels::active().half_to_float(in, out, static_cast<Index>(count)), true;
  return convert_elements(dtype, in, out, count);
}

}  // namespace

struct SafetensorsFile::State {
  std::string name;
  std::filesystem::path path;
  FileBytes file;
  SafetensorsHeader header;
  Threads threads;
  std::unordered_map<std::string_view, const TensorInfo*> by_name;

  State(std::string file_name, std::filesystem::path file_path, FileBytes content,
        const SafetensorsOptions& options)
      : name(std::move(file_name)),
        path(std::move(file_path)),
        file(std::move(content)),
        header(read_header(file.bytes, name, options, forget_pages())),
        threads(options.threads) {
    by_name.reserve(header.tensors.size());
    for (const auto& info : header.tensors) by_name.emplace(info.name, &info);
  }

  // A long header shall not stay in memory beside what was made of it.
  std::function<void(std::size_t)> forget_pages() const {
    if (!file.is_mapped) return {};
    return [this](std::size_t taken) { daguerre::release_pages(file.bytes.first(taken)); };
  }
};

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path, const SafetensorsOptions& options) {
  return naming(path, [&] {
    return SafetensorsFile(
        std::make_shared<const State>(path.string(), path, map_file(path, safetensors_name), options));
  });
}

SafetensorsFile SafetensorsFile::from_memory(std::shared_ptr<const std::vector<std::byte>> bytes,
                                             std::string name, const SafetensorsOptions& options) {
  if (!bytes) throw ArgumentError(safetensors_name, name + ": no buffer given");
  const std::span<const std::byte> view(*bytes);
  return SafetensorsFile(std::make_shared<const State>(std::move(name), std::filesystem::path(),
                                                       FileBytes{std::move(bytes), view}, options));
}

const std::string& SafetensorsFile::name() const noexcept {
  return state_->name;
}

std::filesystem::path SafetensorsFile::path() const {
  return state_->path;
}

std::span<const TensorInfo> SafetensorsFile::tensors() const noexcept {
  return state_->header.tensors;
}

const std::map<std::string, std::string>& SafetensorsFile::metadata() const noexcept {
  return state_->header.metadata;
}

const TensorInfo* SafetensorsFile::find(std::string_view tensor_name) const noexcept {
  const auto found = state_->by_name.find(tensor_name);
  return found == state_->by_name.end() ? nullptr : found->second;
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorInfo& info) const noexcept {
  return state_->file.bytes.subspan(state_->header.data_begin + info.begin, info.end - info.begin);
}

void SafetensorsFile::release_pages(const TensorInfo& info) const noexcept {
  if (state_->file.is_mapped) daguerre::release_pages(bytes(info));
}

template <class T>
Tensor<T> SafetensorsFile::read(std::string_view tensor_name) const {
  const TensorInfo* const info = find(tensor_name);
  if (!info)
    throw WeightError(safetensors_name, name() + ": tensor " + in_quotes(tensor_name) + " is missing",
                      path());
  return read<T>(*info);
}

ops::WeightSource SafetensorsFile::weight(const TensorInfo& info) const {
  return {.dtype = info.dtype,
          .shape = info.shape,
          .bytes = bytes(info),
          .owner = state_,
          .release = state_->file.is_mapped ? &daguerre::release_pages : nullptr};
}

void SafetensorsFile::release_pages() const noexcept {
  if (state_->file.is_mapped) daguerre::release_pages(state_->file.bytes);
}

Tensor<float> SafetensorsFile::floats(const TensorInfo& info, const MemoryPool* pool) const {
  return read<float>(info, pool);
}

template <class T>
Tensor<T> SafetensorsFile::read(const TensorInfo& info, const MemoryPool* pool) const {
  auto result = pool == nullptr ? Tensor<T>(info.shape) : Tensor<T>(info.shape, *pool);
  const std::byte* const from = bytes(info).data();
  const auto width = static_cast<Index>(size_of(info.dtype));
  std::atomic<bool> all_fit{true};
  parallel_for(state_->threads, result.size(), elements_per_piece, [&](Index begin, Index end) {
    if (!convert_from(info.dtype, from + begin * width, result.data() + begin,
                      static_cast<std::size_t>(end - begin)))
      all_fit = false;
  });
  if (!all_fit)
    throw WeightError(safetensors_name,
                      name() + ": tensor " + in_quotes(info.name) + " holds values that do not fit into " +
                          std::to_string(8 * sizeof(T)) + "-bit integers",
                      path());
  // A model is read once, tensor by tensor; keeping the file's pages as well would double the memory of
  // loading.
  release_pages(info);
  return result;
}

template Tensor<float> SafetensorsFile::read(std::string_view) const;
template Tensor<double> SafetensorsFile::read(std::string_view) const;
template Tensor<bfloat16> SafetensorsFile::read(std::string_view) const;
template Tensor<half> SafetensorsFile::read(std::string_view) const;
template Tensor<std::int32_t> SafetensorsFile::read(std::string_view) const;
template Tensor<std::int64_t> SafetensorsFile::read(std::string_view) const;
template Tensor<float> SafetensorsFile::read(const TensorInfo&, const MemoryPool*) const;

}  // namespace daguerre::weights
