#include "daguerre/weights/gguf.hpp"

#include <fstream>
#include <limits>

#include <nlohmann/json.hpp>

#include "conformance/case.hpp"
#include "daguerre/weights/gguf_writer.hpp"

/// GGUF files and ggml's blocks: what is read and written is equal.
namespace daguerre::conformance {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using weights::GgufFile;

/// A check that something is as it was recorded, in all its bits.
Check equal(const std::string& name, bool is) {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  return {name, {is ? 0.0 : infinity, is ? 0.0 : infinity}, 0.0};
}

Check same_tensor(const std::string& name, const Tensor<float>& actual, const Tensor<float>& expected) {
  const auto bytes = [](const Tensor<float>& tensor) { return std::as_bytes(tensor.span()); };
  if (!(actual.shape() == expected.shape())) return equal(name + ": shape", false);
  const auto found = bytes(actual), recorded = bytes(expected);
  return equal(name, std::equal(found.begin(), found.end(), recorded.begin(), recorded.end()));
}

json read_json(const fs::path& path) {
  std::ifstream file(path);
  return json::parse(file);
}

/// What a value says against the recorded one, in which numbers of float32 are those that Python prints.
bool same_value(const weights::GgufValue& value, const json& expected) {
  if (expected.is_array()) {
    const auto items = value.items();
    if (items.size() != expected.size()) return false;
    for (std::size_t i = 0; i < items.size(); ++i)
      if (!same_value(items[i], expected[i])) return false;
    return true;
  }
  if (expected.is_string()) return value.text() == expected.get<std::string>();
  if (expected.is_boolean()) return value.boolean() == expected.get<bool>();
  if (expected.is_number_unsigned()) return value.natural() == expected.get<std::uint64_t>();
  if (expected.is_number_integer()) return value.integer() == expected.get<std::int64_t>();
  const auto number = value.number();
  if (!number) return false;
  return value.type() == weights::GgufType::f32 ? static_cast<float>(*number) == expected.get<float>()
                                                : *number == expected.get<double>();
}

void check_file(const fs::path& folder, const std::string& name, const json& expected,
                const weights::SafetensorsFile& recorded, Result& result) {
  const auto file = GgufFile::open(folder / (name + ".gguf"));
  const auto& tensors = expected.at("tensors");
  const bool whole =
      file.alignment() == expected.at("alignment").get<std::size_t>() &&
      (tensors.empty() || file.data_begin() == expected.at("data_offset").get<std::size_t>()) &&
      file.tensors().size() == tensors.size();
  result.checks.push_back(equal(name, whole));
  for (const auto& [tensor, description] : tensors.items()) {
    const auto* info = file.find(tensor);
    if (info == nullptr) {
      result.checks.push_back(equal(name + "/" + tensor, false));
      continue;
    }
    auto extents = description.at("ggml_dims").get<std::vector<Index>>();
    std::reverse(extents.begin(), extents.end());
    const bool described = weights::name(info->dtype) == description.at("type").get<std::string>() &&
                           info->begin == description.at("offset").get<std::size_t>() &&
                           info->shape == Shape(std::span<const Index>(extents));
    result.checks.push_back(equal(name + "/" + tensor + ": type, shape and place", described));
    result.checks.push_back(
        same_tensor(name + "/" + tensor, file.floats(*info), recorded.read<float>(name + "/" + tensor)));
  }
  if (!expected.contains("metadata")) return;
  for (const auto& [key, value] : expected.at("metadata").items()) {
    const auto found = file.values().find(key);
    result.checks.push_back(
        equal(name + ": " + key, found != file.values().end() && same_value(found->second, value)));
  }
}

Result run_container(const fs::path& folder) {
  Result result;
  const auto files = read_json(folder / "case.json").at("files");
  const auto recorded = weights::SafetensorsFile::open(folder / "io.safetensors");
  for (const auto& [name, expected] : files.items()) {
    if (!expected.is_string()) {
      check_file(folder, name, expected, recorded, result);
      continue;
    }
    // "dimensions.gguf with version 2 in the header"
    const auto file = GgufFile::open(folder / (name + ".gguf")),
               other = GgufFile::open(folder / "dimensions.gguf");
    result.checks.push_back(equal(name, file.version() == 2 && other.version() == 3));
    for (const auto& info : other.tensors())
      result.checks.push_back(
          same_tensor(name + "/" + info.name, file.floats(*file.find(info.name)), other.floats(info)));
  }
  return result;
}

DType dtype_called(const std::string& name) {
  for (int i = 0; i <= static_cast<int>(DType::tq2_0); ++i)
    if (daguerre::name(static_cast<DType>(i)) == name) return static_cast<DType>(i);
  throw ConfigError("gguf", "there is no type " + name);
}

/// The numbers of rows of recorded bytes.
Tensor<float> decoded(DType dtype, const Tensor<std::int32_t>& recorded) {
  std::vector<std::byte> bytes;
  for (const auto byte : recorded.span()) bytes.push_back(static_cast<std::byte>(byte));
  const auto block = block_of(dtype);
  const Shape shape{recorded.shape()[0], recorded.shape()[1] / block.bytes * block.elements};
  const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
  const ops::Weight weight(
      is_block(dtype) ? ops::block_source(dtype, shape, *owner, owner)
                      : ops::WeightSource{.dtype = dtype, .shape = shape, .bytes = *owner, .owner = owner});
  Tensor<float> result(shape);
  weight.read(0, shape[0], result.data());
  return result;
}

Result run_quant_types(const fs::path& folder) {
  Result result;
  const auto types = read_json(folder / "case.json").at("types");
  const auto recorded = weights::SafetensorsFile::open(folder / "io.safetensors");
  for (const auto& [name, description] : types.items()) {
    const auto dtype = dtype_called(name);
    const auto block = block_of(dtype);
    result.checks.push_back(
        equal(name + ": block", block.elements == description.at("block_size").get<Index>() &&
                                    block.bytes == description.at("type_size").get<Index>()));
    if (recorded.contains(name + ".bytes"))
      result.checks.push_back(same_tensor(name, decoded(dtype, recorded.read<std::int32_t>(name + ".bytes")),
                                          recorded.read<float>(name + ".values")));
    if (!description.at("quantizes").get<bool>()) continue;
    const auto expected = recorded.read<std::int32_t>(name + ".quantized_bytes");
    result.checks.push_back(same_tensor(name + ", quantised and back", decoded(dtype, expected),
                                        recorded.read<float>(name + ".quantized_values")));
    const auto bytes = weights::quantised(dtype, recorded.read<float>(name + ".quantize_in"));
    const auto same = std::equal(bytes.begin(), bytes.end(), expected.span().begin(), expected.span().end(),
                                 [](std::byte a, std::int32_t b) { return std::to_integer<int>(a) == b; });
    result.checks.push_back(equal(name + ": quantised", same));
  }
  return result;
}

/// The tensors that a model's case recorded one by one.
Result run_tensors(const fs::path& folder) {
  Result result;
  const auto file = GgufFile::open(folder / "model.gguf");
  const auto recorded = weights::SafetensorsFile::open(folder / "io.safetensors");
  constexpr std::string_view prefix = "tensor.";
  for (const auto& info : recorded.tensors()) {
    if (!info.name.starts_with(prefix)) continue;
    const auto* found = file.find(std::string_view(info.name).substr(prefix.size()));
    result.checks.push_back(
        found == nullptr ? equal(info.name, false)
                         : same_tensor(info.name, file.floats(*found), recorded.read<float>(info.name)));
  }
  return result;
}

}  // namespace

std::vector<std::pair<std::string, std::function<Result()>>> gguf_runs(const fs::path& folder,
                                                                       const Options& options) {
  if (fs::exists(folder / "model.gguf"))
    return {{":tensors", [=] { return run_tensors(folder); }},
            {"", [=] { return run_gguf_model(folder, options); }}};
  if (fs::exists(folder / "no_tensors.gguf")) return {{"", [=] { return run_container(folder); }}};
  if (folder.filename() == "quant_types") return {{"", [=] { return run_quant_types(folder); }}};
  return {};
}

}  // namespace daguerre::conformance
