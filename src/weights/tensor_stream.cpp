#include "weights/tensor_stream.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "core/stored_elements.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/gguf_bytes.hpp"
#include "weights/gguf_types.hpp"
#include "weights/names.hpp"
#include "weights/quantise.hpp"
#include "weights/safetensors_header.hpp"

namespace daguerre::weights {
namespace {

constexpr std::size_t elements_at_a_time = std::size_t{1} << 16;

/// A file that is written from its beginning to its end.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path)
      : path_(path), file_(std::fopen(path.string().c_str(), "wbx")) {
    if (file_ == nullptr) fail();
  }
  void write(std::span<const std::byte> bytes) {
    if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail();
  }
  /// Closing tells what the last buffered bytes met with.
  void close() {
    if (std::fclose(file_.release()) != 0) fail();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };
  [[noreturn]] void fail() const {
    throw FileError(weights_name,
                    path_.string() + ": cannot be written: " + std::generic_category().message(errno), path_);
  }
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

template <class To>
void convert_piece(DType from, std::span<const std::byte> in, std::vector<To>& out) {
  out.resize(in.size() / size_of(from));
  convert_elements(from, in.data(), out.data(), out.size());
}

/// Numbers of another type than they are stored in. What was finite must stay so.
class Converter {
 public:
  explicit Converter(const StreamedTensor& tensor) : tensor_(tensor) {}

  std::span<const std::byte> operator()(DType from, std::span<const std::byte> in) {
    if (tensor_.dtype == DType::f32) return converted(from, in, floats_);
    if (tensor_.dtype == DType::bf16) return converted(from, in, bfloats_);
    if (tensor_.dtype == DType::f16) return converted(from, in, halves_);
    throw WeightError(weights_name, "tensor " + in_quotes(tensor_.name) + " of " + std::string(name(from)) +
                                        " elements cannot be written as " + std::string(name(tensor_.dtype)));
  }

 private:
  template <class To>
  std::span<const std::byte> converted(DType from, std::span<const std::byte> in, std::vector<To>& out) {
    convert_piece(from, in, out);
    const auto bytes = std::as_bytes(std::span<const To>(out));
    const bool may_overflow = from == DType::f64 || tensor_.dtype != DType::f32;
    if (may_overflow && infinities(tensor_.dtype, bytes) != infinities(from, in))
      throw WeightError(weights_name, "tensor " + in_quotes(tensor_.name) +
                                          " holds numbers that are too large for " +
                                          std::string(name(tensor_.dtype)));
    return bytes;
  }
  std::ptrdiff_t infinities(DType dtype, std::span<const std::byte> bytes) {
    convert_piece(dtype, bytes, doubles_);
    return std::count_if(doubles_.begin(), doubles_.end(), [](double value) { return std::isinf(value); });
  }

  const StreamedTensor& tensor_;
  std::vector<float> floats_;
  std::vector<bfloat16> bfloats_;
  std::vector<half> halves_;
  std::vector<double> doubles_;
};

void write_converted(OutputFile& file, const StreamedTensor& tensor, DType from,
                     std::span<const std::byte> bytes, const std::function<void(std::uint64_t)>& written) {
  const std::size_t step = elements_at_a_time * size_of(from);
  Converter convert(tensor);
  while (!bytes.empty()) {
    auto piece = bytes.first(std::min(step, bytes.size()));
    bytes = bytes.subspan(piece.size());
    if (from != tensor.dtype) piece = convert(from, piece);
    file.write(piece);
    written(piece.size());
  }
}

/// Rows in blocks. Those that are stored so are copied.
void write_blocks(OutputFile& file, const StreamedTensor& tensor, const StateDict& weights,
                  const std::string& name, const std::function<void(std::uint64_t)>& written) {
  constexpr float largest = 65504.0f;  // a scale's
  const Shape shape = weights.shape(name);
  const auto source = weights.weight(name, shape);
  if (source.dtype == tensor.dtype &&
      source.bytes.size() == static_cast<std::size_t>(bytes_of(tensor.dtype, shape.size()))) {
    file.write(source.bytes);
    return written(source.bytes.size());
  }
  const ops::Weight stored(source);
  const Index rows_at_a_time =
      std::max<Index>(1, static_cast<Index>(elements_at_a_time) / std::max<Index>(1, stored.row_size()));
  std::vector<float> values;
  std::vector<std::byte> blocks;
  for (Index row = 0; row < stored.rows(); row += rows_at_a_time) {
    const Index end = std::min(stored.rows(), row + rows_at_a_time), count = (end - row) * stored.row_size();
    values.resize(static_cast<std::size_t>(count));
    stored.read(row, end, values.data());
    if (!std::all_of(values.begin(), values.end(), [](float value) { return std::fabs(value) <= largest; }))
      throw WeightError(weights_name, "tensor " + in_quotes(tensor.name) +
                                          " holds numbers that are too large for " +
                                          std::string(weights::name(tensor.dtype)) + ", or no numbers");
    blocks.resize(static_cast<std::size_t>(bytes_of(tensor.dtype, count)));
    quantise(tensor.dtype, values, blocks);
    file.write(blocks);
    written(blocks.size());
  }
}

void write_tensor(OutputFile& file, const StreamedTensor& tensor,
                  const std::function<void(std::uint64_t)>& written) {
  if (is_block(tensor.dtype)) {
    for (const auto& [weights, name] : tensor.sources) {
      write_blocks(file, tensor, weights, name, written);
      weights.release_pages(name);
    }
    return;
  }
  for (const auto& [weights, name] : tensor.sources) {
    const Shape shape = weights.shape(name);
    if (is_convertible(tensor.dtype) && shape.rank() > 0 && weights.is_computed(name)) {
      // What is computed is rounded once, to what is written.
      const auto values = weights.tensor(name, shape);
      write_converted(file, tensor, DType::f32, std::as_bytes(values.span()), written);
      weights.release_pages(name);
      continue;
    }
    std::vector<std::byte> scratch;
    write_converted(file, tensor, element_type(weights.find(name)->dtype), weights.bytes(name, scratch),
                    written);
    weights.release_pages(name);
  }
}

}  // namespace

bool is_convertible(DType dtype) {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16 ||
         dtype == DType::f8_e4m3 || dtype == DType::f8_e5m2;
}

std::uint64_t data_bytes(const std::vector<StreamedTensor>& tensors) {
  std::uint64_t result = 0;
  for (const auto& tensor : tensors)
    result += static_cast<std::uint64_t>(bytes_of(tensor.dtype, tensor.shape.size()));
  return result;
}

void stream_safetensors(const std::filesystem::path& path, std::vector<StreamedTensor> tensors,
                        const std::map<std::string, std::string>& metadata,
                        const std::function<void(std::uint64_t)>& written) {
  std::sort(tensors.begin(), tensors.end(), [](const StreamedTensor& a, const StreamedTensor& b) {
    return a.dtype != b.dtype ? a.dtype > b.dtype : a.name < b.name;
  });
  std::vector<TensorInfo> infos;
  std::size_t end = 0;
  for (const auto& tensor : tensors) {
    const std::size_t begin = end;
    end += static_cast<std::size_t>(tensor.shape.size()) * size_of(tensor.dtype);
    infos.push_back({tensor.name, tensor.dtype, tensor.shape, begin, end});
  }
  OutputFile file(path);
  file.write(header_bytes(infos, metadata));
  for (const auto& tensor : tensors) write_tensor(file, tensor, written);
  file.close();
}

void stream_gguf(const std::filesystem::path& path, std::vector<StreamedTensor> tensors,
                 const std::map<std::string, GgufMetadata>& metadata,
                 const std::function<void(std::uint64_t)>& written) {
  std::sort(tensors.begin(), tensors.end(),
            [](const StreamedTensor& a, const StreamedTensor& b) { return a.name < b.name; });
  std::vector<TensorInfo> infos;
  std::size_t end = 0;
  for (const auto& tensor : tensors) {
    const std::size_t begin = aligned(end, default_gguf_alignment);
    end = begin + static_cast<std::size_t>(bytes_of(tensor.dtype, tensor.shape.size()));
    infos.push_back({tensor.name, tensor.dtype, tensor.shape, begin, end});
  }
  constexpr std::array<std::byte, default_gguf_alignment> zeros{};
  OutputFile file(path);
  file.write(gguf_header_bytes(infos, metadata, default_gguf_alignment));
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    write_tensor(file, tensors[i], written);
    file.write(std::span(zeros).first(aligned(infos[i].end, default_gguf_alignment) - infos[i].end));
  }
  file.close();
}

}  // namespace daguerre::weights
