#include "daguerre/weights/gguf.hpp"

#include <array>
#include <fstream>
#include <system_error>
#include <unordered_map>
#include <utility>

#include "core/file_bytes.hpp"
#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/gguf_header.hpp"

namespace daguerre::weights {
namespace {

/// Longer arrays are no description.
constexpr std::uint64_t longest_described = 64;
/// What a thread decodes at a time.
constexpr Index gguf_elements_per_piece = Index{1} << 18;

std::string valid_utf8(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const auto valid = std::min(find_invalid_utf8(text), text.size());
    result += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    result += "\uFFFD";
    text.remove_prefix(1);
  }
  return result;
}

}  // namespace

struct GgufFile::State {
  std::string name;
  FileBytes file;
  GgufHeader header;
  Threads threads;
  std::map<std::string, std::string> metadata;
  std::unordered_map<std::string_view, const TensorInfo*> by_name;

  State(std::string file_name, FileBytes content, const SafetensorsOptions& options)
      : name(std::move(file_name)),
        file(std::move(content)),
        header(read_gguf_header(file.bytes, name, options)),
        threads(options.threads) {
    by_name.reserve(header.tensors.size());
    for (const auto& info : header.tensors) by_name.emplace(info.name, &info);
    for (const auto& [key, value] : header.values)
      if (!key.starts_with(orig_shape_key) && value.size() <= longest_described) {
        const auto text = value.text();
        metadata.emplace(key, text ? valid_utf8(*text) : value.to_json());
      }
  }
};

bool is_gguf(const std::filesystem::path& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return false;
  std::array<char, gguf_magic.size()> start{};
  std::ifstream file(path, std::ios::binary);
  file.read(start.data(), start.size());
  return file && std::string_view(start.data(), start.size()) == gguf_magic;
}

GgufFile GgufFile::open(const std::filesystem::path& path, const SafetensorsOptions& options) {
  return GgufFile(std::make_shared<const State>(path.string(), map_file(path, gguf_name), options));
}

GgufFile GgufFile::from_memory(std::shared_ptr<const std::vector<std::byte>> bytes, std::string name,
                               const SafetensorsOptions& options) {
  if (!bytes) throw ArgumentError(gguf_name, name + ": no buffer given");
  const std::span<const std::byte> view(*bytes);
  return GgufFile(std::make_shared<const State>(std::move(name), FileBytes{std::move(bytes), view}, options));
}

const std::string& GgufFile::name() const noexcept {
  return state_->name;
}

std::span<const TensorInfo> GgufFile::tensors() const noexcept {
  return state_->header.tensors;
}

const std::map<std::string, std::string>& GgufFile::metadata() const noexcept {
  return state_->metadata;
}

const std::map<std::string, GgufValue, std::less<>>& GgufFile::values() const noexcept {
  return state_->header.values;
}

std::uint32_t GgufFile::version() const noexcept {
  return state_->header.version;
}

std::size_t GgufFile::alignment() const noexcept {
  return state_->header.alignment;
}

std::size_t GgufFile::data_begin() const noexcept {
  return state_->header.data_begin;
}

const TensorInfo* GgufFile::find(std::string_view tensor_name) const noexcept {
  const auto found = state_->by_name.find(tensor_name);
  return found == state_->by_name.end() ? nullptr : found->second;
}

std::span<const std::byte> GgufFile::bytes(const TensorInfo& info) const noexcept {
  if (info.begin == info.end) return {};
  return state_->file.bytes.subspan(state_->header.data_begin + info.begin, info.end - info.begin);
}

ops::WeightSource GgufFile::weight(const TensorInfo& info) const {
  auto result = is_block(info.dtype)
                    ? ops::block_source(info.dtype, info.shape, bytes(info), state_, info.lead)
                    : ops::WeightSource{
                          .dtype = info.dtype, .shape = info.shape, .bytes = bytes(info), .owner = state_};
  if (state_->file.is_mapped) result.release = &daguerre::release_pages;
  return result;
}

Tensor<float> GgufFile::floats(const TensorInfo& info, const MemoryPool* pool) const {
  auto result = pool == nullptr ? Tensor<float>(info.shape) : Tensor<float>(info.shape, *pool);
  auto source = weight(info);
  // Elements one by one, so that threads share a tensor of any shape.
  source.shape = {info.shape.size()};
  const ops::Weight stored(std::move(source));
  parallel_for(state_->threads, result.size(), gguf_elements_per_piece,
               [&](Index begin, Index end) { stored.read(begin, end, result.data() + begin); });
  release_pages(info);
  return result;
}

void GgufFile::release_pages() const noexcept {
  if (state_->file.is_mapped) daguerre::release_pages(state_->file.bytes);
}

void GgufFile::release_pages(const TensorInfo& info) const noexcept {
  if (state_->file.is_mapped) daguerre::release_pages(bytes(info));
}

}  // namespace daguerre::weights
