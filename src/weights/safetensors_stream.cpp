#include "weights/safetensors_stream.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <memory>
#include <span>
#include <system_error>
#include <utility>

#include "daguerre/error.hpp"
#include "weights/safetensors_header.hpp"
#include "weights/text.hpp"

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
                    path_.string() + ": cannot be written: " + std::generic_category().message(errno));
  }
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

template <class From, class To>
void convert_piece(std::span<const std::byte> in, std::vector<std::byte>& out) {
  const std::size_t count = in.size() / sizeof(From);
  out.resize(count * sizeof(To));
  for (std::size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, in.data() + i * sizeof(From), sizeof(From));
    const To result = convert<To>(value);
    std::memcpy(out.data() + i * sizeof(To), &result, sizeof(To));
  }
}

template <class From>
void convert_piece_to(DType to, std::span<const std::byte> in, std::vector<std::byte>& out) {
  if (to == DType::f32) return convert_piece<From, float>(in, out);
  if (to == DType::bf16) return convert_piece<From, bfloat16>(in, out);
  convert_piece<From, half>(in, out);
}

void convert_piece(DType from, DType to, std::span<const std::byte> in, std::vector<std::byte>& out) {
  if (from == DType::f64) return convert_piece_to<double>(to, in, out);
  if (from == DType::f32) return convert_piece_to<float>(to, in, out);
  if (from == DType::bf16) return convert_piece_to<bfloat16>(to, in, out);
  convert_piece_to<half>(to, in, out);
}

/// How many infinities there are; what was finite must stay so.
std::size_t infinities(DType dtype, std::span<const std::byte> bytes) {
  std::vector<std::byte> floats;
  convert_piece(dtype, DType::f32, bytes, floats);
  std::size_t count = 0;
  for (std::size_t i = 0; i < floats.size(); i += sizeof(float)) {
    float value;
    std::memcpy(&value, floats.data() + i, sizeof value);
    count += std::isinf(value) ? 1 : 0;
  }
  return count;
}

void write_converted(OutputFile& file, const StreamedTensor& tensor, DType from,
                     std::span<const std::byte> bytes, const std::function<void(std::uint64_t)>& written) {
  const std::size_t step = elements_at_a_time * size_of(from);
  std::vector<std::byte> converted;
  while (!bytes.empty()) {
    auto piece = bytes.first(std::min(step, bytes.size()));
    bytes = bytes.subspan(piece.size());
    if (from != tensor.dtype) {
      convert_piece(from, tensor.dtype, piece, converted);
      if (tensor.dtype == DType::f16 && infinities(DType::f16, converted) != infinities(from, piece))
        throw WeightError(weights_name, "tensor " + in_quotes(tensor.name) +
                                            " holds numbers that are too large for F16; BF16 holds them");
      piece = converted;
    }
    file.write(piece);
    written(piece.size());
  }
}

void write_tensor(OutputFile& file, const StreamedTensor& tensor,
                  const std::function<void(std::uint64_t)>& written) {
  for (const auto& [weights, name] : tensor.sources) {
    std::vector<std::byte> scratch;
    write_converted(file, tensor, weights.find(name)->dtype, weights.bytes(name, scratch), written);
    weights.forget(name);
  }
}

}  // namespace

bool is_convertible(DType dtype) {
  return dtype == DType::f64 || dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16;
}

std::uint64_t data_bytes(const std::vector<StreamedTensor>& tensors) {
  std::uint64_t result = 0;
  for (const auto& tensor : tensors)
    result += static_cast<std::uint64_t>(tensor.shape.size()) * size_of(tensor.dtype);
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

}  // namespace daguerre::weights
