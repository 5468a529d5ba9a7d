#include "daguerre/weights/gguf_writer.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <set>

#include "core/files.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/gguf_bytes.hpp"
#include "weights/gguf_types.hpp"
#include "weights/quantise.hpp"

namespace daguerre::weights {
namespace {

constexpr std::string_view gguf_writer_name = "GgufWriter";
constexpr std::size_t longest_gguf_name = 65535;

class Output {
 public:
  std::vector<std::byte> bytes;

  template <class T>
  void number(T value) {
    const auto* const from = reinterpret_cast<const std::byte*>(&value);
    bytes.insert(bytes.end(), from, from + sizeof value);
  }
  void string(std::string_view text) {
    number(static_cast<std::uint64_t>(text.size()));
    const auto from = std::as_bytes(std::span(text));
    bytes.insert(bytes.end(), from.begin(), from.end());
  }
  void type(GgufType value) { number(static_cast<std::uint32_t>(value)); }

  void value(bool truth) { type(GgufType::boolean), item(truth); }
  void value(std::uint32_t number_) { type(GgufType::u32), item(number_); }
  void value(std::int32_t number_) { type(GgufType::i32), item(number_); }
  void value(std::uint64_t number_) { type(GgufType::u64), item(number_); }
  void value(float number_) { type(GgufType::f32), item(number_); }
  void value(const std::string& text) { type(GgufType::string), item(text); }
  void value(const std::vector<std::int32_t>& list) { array(GgufType::i32, list); }
  void value(const std::vector<float>& list) { array(GgufType::f32, list); }
  void value(const std::vector<bool>& list) { array(GgufType::boolean, list); }
  void value(const std::vector<std::string>& list) { array(GgufType::string, list); }

 private:
  void item(bool truth) { number(static_cast<std::uint8_t>(truth)); }
  void item(const std::string& text) { string(text); }
  template <class T>
  void item(T number_) {
    number(number_);
  }
  template <class T>
  void array(GgufType item_type, const std::vector<T>& list) {
    type(GgufType::array);
    type(item_type);
    number(static_cast<std::uint64_t>(list.size()));
    for (const auto& each : list) item(static_cast<const T&>(each));
  }
};

void check_gguf_name(std::string_view text) {
  if (text.size() > longest_gguf_name || find_invalid_utf8(text) != text.npos || text.find('\0') != text.npos)
    throw ArgumentError(gguf_writer_name,
                        in_quotes(text) + " is too long, holds a NUL or is not valid UTF-8");
}

std::vector<std::byte> converted(DType dtype, std::span<const float> values) {
  std::vector<std::byte> result(static_cast<std::size_t>(bytes_of(dtype, static_cast<Index>(values.size()))));
  const auto store = [&](auto convert_one) {
    auto* to = result.data();
    for (const float value : values) {
      const auto stored = convert_one(value);
      std::memcpy(to, &stored, sizeof stored);
      to += sizeof stored;
    }
  };
  if (dtype == DType::f32)
    store([](float value) { return value; });
  else if (dtype == DType::f16)
    store([](float value) { return half(value); });
  else if (dtype == DType::bf16)
    store([](float value) { return bfloat16(value); });
  else
    quantise(dtype, values, result);
  return result;
}

}  // namespace

std::vector<std::byte> quantised(DType dtype, const Tensor<float>& values) {
  constexpr float largest = 65504.0f;
  const Index row = values.rank() == 0 ? 1 : values.shape()[-1];
  if (const auto block = block_of(dtype).elements; row % block != 0)
    throw ArgumentError("quantise", "rows of " + std::to_string(row) + " elements make no whole blocks of " +
                                        std::to_string(block) + " in " + std::string(name(dtype)));
  const bool any_number = dtype == DType::f32 || dtype == DType::bf16;
  const bool fits = any_number || std::all_of(values.span().begin(), values.span().end(),
                                              [](float value) { return std::fabs(value) <= largest; });
  if (!fits)
    throw ArgumentError("quantise", "numbers that are not finite or above 65504 in size do not fit into " +
                                        std::string(name(dtype)));
  return converted(dtype, values.span());
}

std::vector<std::byte> gguf_header_bytes(std::span<const TensorInfo> tensors,
                                         const std::map<std::string, GgufMetadata>& metadata,
                                         std::size_t alignment) {
  Output out;
  for (const char letter : gguf_magic) out.number(letter);
  out.number(gguf_version);
  const bool says_alignment = alignment != default_gguf_alignment;
  out.number(static_cast<std::uint64_t>(tensors.size()));
  out.number(static_cast<std::uint64_t>(metadata.size() + (says_alignment ? 1 : 0)));
  if (says_alignment) {
    out.string(alignment_key);
    out.value(static_cast<std::uint32_t>(alignment));
  }
  for (const auto& [key, value] : metadata) {
    check_gguf_name(key);
    out.string(key);
    std::visit([&](const auto& held) { out.value(held); }, value);
  }
  for (const auto& tensor : tensors) {
    check_gguf_name(tensor.name);
    const auto refuse = [&](const std::string& what) {
      throw ArgumentError(gguf_writer_name, "tensor " + in_quotes(tensor.name) + " has " + what +
                                                ", which a GGUF file cannot hold");
    };
    const auto type = ggml_of_dtype(tensor.dtype);
    if (!type) refuse("elements of type " + std::string(name(tensor.dtype)));
    if (tensor.shape.rank() > static_cast<int>(most_gguf_axes)) refuse("shape " + to_string(tensor.shape));
    out.string(tensor.name);
    out.number(static_cast<std::uint32_t>(tensor.shape.rank()));
    for (int axis = tensor.shape.rank(); axis-- > 0;)
      out.number(static_cast<std::uint64_t>(tensor.shape[axis]));
    out.number(*type);
    out.number(static_cast<std::uint64_t>(tensor.begin));
  }
  out.bytes.resize(aligned(out.bytes.size(), alignment));
  return std::move(out.bytes);
}

GgufWriter::GgufWriter(std::size_t alignment) : alignment_(alignment) {
  if (!std::has_single_bit(alignment) || alignment > std::size_t{1} << 31)
    throw ArgumentError(gguf_writer_name,
                        "an alignment of " + std::to_string(alignment) + " is no power of two");
}

void GgufWriter::add(std::string tensor_name, const Tensor<float>& tensor, DType dtype) {
  check_gguf_name(tensor_name);
  for (const auto& entry : entries_)
    if (entry.name == tensor_name)
      throw ArgumentError(gguf_writer_name, "tensor " + in_quotes(tensor_name) + " is added twice");
  if (tensor.rank() > static_cast<int>(most_gguf_axes))
    throw ArgumentError(gguf_writer_name, "tensor " + in_quotes(tensor_name) + " has shape " +
                                              to_string(tensor.shape()) + ", the most are four axes");
  entries_.push_back({std::move(tensor_name), dtype, tensor.shape(), quantised(dtype, tensor)});
}

void GgufWriter::set(std::string key, GgufMetadata value) {
  check_gguf_name(key);
  if (key == alignment_key)
    throw ArgumentError(gguf_writer_name, in_quotes(key) + " is what the writer was made with");
  const auto [present, added] = metadata_.try_emplace(std::move(key), std::move(value));
  if (!added) throw ArgumentError(gguf_writer_name, in_quotes(present->first) + " is set twice");
}

std::vector<std::byte> GgufWriter::to_bytes() const {
  std::vector<TensorInfo> infos;
  std::size_t end = 0;
  for (const auto& entry : entries_) {
    const std::size_t begin = aligned(end, alignment_);
    end = begin + entry.bytes.size();
    infos.push_back({entry.name, entry.dtype, entry.shape, begin, end});
  }
  auto result = gguf_header_bytes(infos, metadata_, alignment_);
  const std::size_t data = result.size();
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    result.resize(data + infos[i].begin);
    result.insert(result.end(), entries_[i].bytes.begin(), entries_[i].bytes.end());
  }
  result.resize(data + aligned(end, alignment_));
  return result;
}

void GgufWriter::save(const std::filesystem::path& path) const {
  write_file(gguf_writer_name, path, to_bytes());
}

}  // namespace daguerre::weights
