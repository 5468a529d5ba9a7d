#include <algorithm>
#include <optional>
#include <string>

#include "daguerre/models/upscalers/rrdbnet-inl.hpp"

namespace daguerre::models {
namespace {

constexpr const char* rrdbnet_name = "rrdbnet";
constexpr int most_rrdb_blocks = 1000;

/// The number that `text` begins with, which is taken off it.
std::optional<int> take_number(std::string_view& text) {
  const auto length = std::min(text.find_first_not_of("0123456789"), text.size());
  constexpr std::size_t most_digits = 9;
  if (length == 0 || length > most_digits) return std::nullopt;
  const int value = std::stoi(std::string(text.substr(0, length)));
  text.remove_prefix(length);
  return value;
}

/// Takes `prefix` off `text` where it begins with it.
bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

/// The numbers of the layers behind the trunk of a sequence that have weights, in order.
std::vector<int> sequence_layers(const weights::StateDict& weights) {
  std::vector<int> layers;
  for (const auto& name : weights.names()) {
    std::string_view rest = name;
    if (!take_prefix(rest, "model.")) continue;
    const auto number = take_number(rest);
    if (number && *number > 1 && rest == ".weight") layers.push_back(*number);
  }
  std::ranges::sort(layers);
  return layers;
}

/// "0.RDB1.conv1.0.weight" of a sequence or "0.RDB1.conv1.weight" as "body.0.rdb1.conv1.weight"; what is
/// neither stays as it is, to be told of.
std::string block_name(std::string_view rest) {
  std::string name = "body.";
  const auto block = take_number(rest);
  if (!block || !take_prefix(rest, ".RDB")) return {};
  name += std::to_string(*block) + ".rdb";
  const auto dense = take_number(rest);
  if (!dense || !take_prefix(rest, ".conv")) return {};
  const auto conv = take_number(rest);
  if (!conv) return {};
  take_prefix(rest, ".0");
  return name + std::to_string(*dense) + ".conv" + std::to_string(*conv) + std::string(rest);
}

std::string name_in_sequence(std::string_view name, const std::vector<int>& layers) {
  std::string_view rest = name;
  if (take_prefix(rest, "model.0.")) return "conv_first." + std::string(rest);
  if (take_prefix(rest, "model.1.sub.")) {
    if (auto block = block_name(rest); !block.empty()) return block;
    const auto number = take_number(rest);
    return number && take_prefix(rest, ".") ? "conv_body." + std::string(rest) : std::string(name);
  }
  if (!take_prefix(rest, "model.")) return std::string(name);
  const auto number = take_number(rest);
  const auto found = std::ranges::find(layers, number.value_or(-1));
  if (found == layers.end() || !take_prefix(rest, ".")) return std::string(name);
  const auto place = found - layers.begin(), count = std::ssize(layers);
  const std::string layer = place == count - 1   ? "conv_last"
                            : place == count - 2 ? "conv_hr"
                                                 : "conv_up" + std::to_string(place + 1);
  return layer + "." + std::string(rest);
}

std::string name_of_first_release(std::string_view name) {
  std::string_view rest = name;
  if (take_prefix(rest, "RRDB_trunk.")) {
    auto block = block_name(rest);
    return block.empty() ? std::string(name) : block;
  }
  if (take_prefix(rest, "trunk_conv.")) return "conv_body." + std::string(rest);
  if (take_prefix(rest, "HRconv.")) return "conv_hr." + std::string(rest);
  if (take_prefix(rest, "upconv")) return "conv_up" + std::string(rest);
  return std::string(name);
}

bool is_rrdb_sequence(const weights::StateDict& weights) {
  return weights.contains("model.1.sub.0.RDB1.conv1.0.weight");
}

[[noreturn]] void refuse_rrdbnet(const weights::StateDict& weights, const std::string& what) {
  throw WeightError(rrdbnet_name, weights.source() + ": " + what, weights.path());
}

/// The shape of a convolution of 3 x 3 pixels.
Shape conv_shape(const weights::StateDict& weights, const std::string& name) {
  const Shape shape = weights.shape(name + ".weight");
  if (shape.rank() != 4 || shape[2] != 3 || shape[3] != 3 || shape.size() == 0)
    refuse_rrdbnet(weights, "tensor \"" + name + ".weight\" has shape " + to_string(shape) +
                                ", expected [out, in, 3, 3]");
  return shape;
}

}  // namespace

bool is_rrdbnet(const weights::StateDict& weights) {
  return is_rrdb_sequence(weights) || weights.contains("RRDB_trunk.0.RDB1.conv1.weight") ||
         weights.contains("body.0.rdb1.conv1.weight");
}

weights::StateDict with_rrdbnet_names(const weights::StateDict& weights) {
  if (weights.contains("body.0.rdb1.conv1.weight")) return weights;
  const bool is_sequence = is_rrdb_sequence(weights);
  const auto layers = sequence_layers(weights);
  if (is_sequence && layers.size() < 2)
    refuse_rrdbnet(weights, "behind \"model.1\" are " + std::to_string(layers.size()) +
                                " layers with weights, expected two or more");
  std::vector<weights::RenamedTensor> renamed;
  for (const auto& name : weights.names())
    renamed.push_back({is_sequence ? name_in_sequence(name, layers) : name_of_first_release(name), name});
  return weights.renamed(renamed);
}

RrdbNetConfig RrdbNetConfig::from(const weights::StateDict& weights) {
  RrdbNetConfig config;
  const Shape first = conv_shape(weights, "conv_first");
  config.features = first[0];
  config.out_channels = conv_shape(weights, "conv_last")[0];
  config.growth = conv_shape(weights, "body.0.rdb1.conv1")[0];
  // What a picture has many times over are its pixels' neighbours.
  config.in_channels = config.out_channels;
  config.pixel_unshuffle = 0;
  for (const Index side : {1, 2, 4})
    if (first[1] == config.in_channels * side * side) config.pixel_unshuffle = side;
  if (config.pixel_unshuffle == 0)
    refuse_rrdbnet(weights, "the first convolution takes " + std::to_string(first[1]) +
                                " channels, the last makes " + std::to_string(config.out_channels) +
                                ": expected 1, 4 or 16 times as many");
  config.blocks = 0;
  while (weights.contains("body." + std::to_string(config.blocks) + ".rdb1.conv1.weight")) ++config.blocks;
  config.doublings = 0;
  while (weights.contains("conv_up" + std::to_string(config.doublings + 1) + ".weight")) ++config.doublings;
  const Index larger = Index{1} << std::min(config.doublings, 6);
  if (config.blocks > most_rrdb_blocks || config.doublings > 4 || larger % config.pixel_unshuffle != 0)
    refuse_rrdbnet(weights, std::to_string(config.blocks) + " blocks and " +
                                std::to_string(config.doublings) + " doublings of pictures halved " +
                                std::to_string(config.pixel_unshuffle) + " to 1 cannot be read");
  return config;
}

template class RrdbNet<float>;
template class RrdbNet<bfloat16>;

}  // namespace daguerre::models
