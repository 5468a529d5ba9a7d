#include "daguerre/weights/safetensors.hpp"

#include <atomic>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <type_traits>
#include <unordered_map>
#include <utility>

#include "daguerre/error.hpp"
#include "ops/kernels.hpp"
#include "weights/file_bytes.hpp"
#include "weights/safetensors_header.hpp"
#include "weights/text.hpp"

namespace daguerre::weights {
namespace {

// True when `value`, its fraction cut off, fits into the integer type `To`.
template <class To, class From>
bool fits(From value) noexcept {
  if constexpr (std::is_floating_point_v<From>) {
    // 2^(bits-1) is exact in every floating type, max() is not; nor is min() - 1, whence the two bounds
    // below. NaN fails all comparisons.
    const From limit = static_cast<From>(std::numeric_limits<To>::max() / 2 + 1) * From(2);
    return (value >= -limit || value > -limit - From(1)) && value < limit;
  } else {
    return std::in_range<To>(value);
  }
}

// Converts one element; false when an integer type cannot hold it.
template <class To, class From>
bool convert_one(From value, To& out) noexcept {
  if constexpr (!std::is_integral_v<To>) {
    out = convert<To>(value);
    return true;
  } else if constexpr (!std::is_arithmetic_v<From>) {
    return convert_one(static_cast<float>(value), out);  // half, bfloat16
  } else {
    const bool fit = fits<To>(value);
    out = fit ? static_cast<To>(value) : To{};
    return fit;
  }
}

// Elements are loaded with memcpy: the format allows odd offsets. The loop stays free of branches, so that
// it vectorises; whether all elements fit is gathered and looked at once.
template <class From, class To>
bool convert_all(const std::byte* in, To* out, std::size_t count) noexcept {
  bool all_fit = true;
  for (std::size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, in + i * sizeof(From), sizeof(From));
    all_fit &= convert_one(value, out[i]);
  }
  return all_fit;
}

// A boolean is a byte; anything but zero is true.
template <class To>
bool convert_booleans(const std::byte* in, To* out, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) out[i] = convert<To>(in[i] != std::byte{} ? 1 : 0);
  return true;
}

/// What a thread converts at a time.
constexpr Index elements_per_piece = Index{1} << 18;

template <class To>
bool convert_from(DType dtype, const std::byte* in, To* out, std::size_t count) {
  switch (dtype) {
    case DType::boolean:
      return convert_booleans(in, out, count);
    case DType::u8:
      return convert_all<std::uint8_t>(in, out, count);
    case DType::i8:
      return convert_all<std::int8_t>(in, out, count);
    case DType::i16:
      return convert_all<std::int16_t>(in, out, count);
    case DType::u16:
      return convert_all<std::uint16_t>(in, out, count);
    case DType::f16:
      if constexpr (std::is_same_v<To, float>)
        return ops::kernels::active().half_to_float(in, out, static_cast<Index>(count)), true;
      else
        return convert_all<half>(in, out, count);
    case DType::bf16:
      return convert_all<bfloat16>(in, out, count);
    case DType::i32:
      return convert_all<std::int32_t>(in, out, count);
    case DType::u32:
      return convert_all<std::uint32_t>(in, out, count);
    case DType::f32:
      return convert_all<float>(in, out, count);
    case DType::f64:
      return convert_all<double>(in, out, count);
    case DType::i64:
      return convert_all<std::int64_t>(in, out, count);
    case DType::u64:
      return convert_all<std::uint64_t>(in, out, count);
    case DType::f8_e5m2:
    case DType::f8_e4m3:
      break;
  }
  throw WeightError(safetensors_name,
                    "elements of type " + std::string(name(dtype)) + " cannot be converted");
}

}  // namespace

std::string_view name(DType dtype) {
  switch (dtype) {
    case DType::boolean:
      return "BOOL";
    case DType::u8:
      return "U8";
    case DType::i8:
      return "I8";
    case DType::f8_e5m2:
      return "F8_E5M2";
    case DType::f8_e4m3:
      return "F8_E4M3";
    case DType::i16:
      return "I16";
    case DType::u16:
      return "U16";
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::i32:
      return "I32";
    case DType::u32:
      return "U32";
    case DType::f32:
      return "F32";
    case DType::f64:
      return "F64";
    case DType::i64:
      return "I64";
    case DType::u64:
      return "U64";
  }
  throw ArgumentError(safetensors_name, "no such DType");
}

std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::boolean:
    case DType::u8:
    case DType::i8:
    case DType::f8_e5m2:
    case DType::f8_e4m3:
      return 1;
    case DType::i16:
    case DType::u16:
    case DType::f16:
    case DType::bf16:
      return 2;
    case DType::i32:
    case DType::u32:
    case DType::f32:
      return 4;
    case DType::f64:
    case DType::i64:
    case DType::u64:
      return 8;
  }
  throw ArgumentError(safetensors_name, "no such DType");
}

struct SafetensorsFile::State {
  std::string name;
  FileBytes file;
  SafetensorsHeader header;
  Threads threads;
  std::unordered_map<std::string_view, const TensorInfo*> by_name;

  State(std::string file_name, FileBytes content, const SafetensorsOptions& options)
      : name(std::move(file_name)),
        file(std::move(content)),
        header(read_header(file.bytes, name, options, forget_pages())),
        threads(options.threads) {
    by_name.reserve(header.tensors.size());
    for (const auto& info : header.tensors) by_name.emplace(info.name, &info);
  }

  // A long header shall not stay in memory beside what was made of it.
  std::function<void(std::size_t)> forget_pages() const {
    if (!file.is_mapped) return {};
    return [this](std::size_t taken) { release_pages(file.bytes.first(taken)); };
  }
};

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& path, const SafetensorsOptions& options) {
  return SafetensorsFile(
      std::make_shared<const State>(path.string(), map_file(path, safetensors_name), options));
}

SafetensorsFile SafetensorsFile::from_memory(std::shared_ptr<const std::vector<std::byte>> bytes,
                                             std::string name, const SafetensorsOptions& options) {
  if (!bytes) throw ArgumentError(safetensors_name, name + ": no buffer given");
  const std::span<const std::byte> view(*bytes);
  return SafetensorsFile(
      std::make_shared<const State>(std::move(name), FileBytes{std::move(bytes), view}, options));
}

const std::string& SafetensorsFile::name() const noexcept {
  return state_->name;
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

template <class T>
Tensor<T> SafetensorsFile::read(std::string_view tensor_name) const {
  const TensorInfo* const info = find(tensor_name);
  if (!info)
    throw WeightError(safetensors_name, name() + ": tensor " + in_quotes(tensor_name) + " is missing");
  return read<T>(*info);
}

template <class T>
Tensor<T> SafetensorsFile::read(const TensorInfo& info, const MemoryPool* pool) const {
  const auto fail = [&](const std::string& problem) {
    return WeightError(safetensors_name, name() + ": tensor " + in_quotes(info.name) + " " + problem);
  };
  if (info.dtype == DType::f8_e4m3 || info.dtype == DType::f8_e5m2)
    throw fail("has elements of type " + std::string(weights::name(info.dtype)) +
               ", which cannot be converted");
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
    throw fail("holds values that do not fit into " + std::to_string(8 * sizeof(T)) + "-bit integers");
  // A model is read once, tensor by tensor; keeping the file's pages as well would double the memory of
  // loading.
  if (state_->file.is_mapped) release_pages(bytes(info));
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
