#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "daguerre/models/feature_extractors/lpips-inl.hpp"

namespace daguerre::models {
namespace {

constexpr std::array<std::pair<LpipsTrunk, std::string_view>, 3> lpips_trunks{
    {{LpipsTrunk::alex, "alex"}, {LpipsTrunk::vgg, "vgg"}, {LpipsTrunk::squeeze, "squeeze"}}};

detail::LpipsTrunkShape alex_shape() {
  const ops::PoolWindow pool{.size = 3, .stride = 2};
  return {31,
          {{.number = 0, .in = 3, .out = 64, .kernel = 11, .stride = 4, .pad = 2, .is_compared = true},
           {.number = 3, .in = 64, .out = 192, .kernel = 5, .pad = 2, .pool = pool, .is_compared = true},
           {.number = 6, .in = 192, .out = 384, .pool = pool, .is_compared = true},
           {.number = 8, .in = 384, .out = 256, .is_compared = true},
           {.number = 10, .in = 256, .out = 256, .is_compared = true}}};
}

detail::LpipsTrunkShape vgg_shape() {
  detail::LpipsTrunkShape shape{16, {}};
  constexpr std::array<std::pair<Index, int>, 5> blocks{{{64, 2}, {128, 2}, {256, 3}, {512, 3}, {512, 3}}};
  Index in = 3;
  int number = 0;
  for (const auto& block : blocks) {
    for (int i = 0; i < block.second; ++i) {
      detail::LpipsStep step{.number = number, .in = in, .out = block.first};
      if (i == 0 && number > 0) step.pool = ops::PoolWindow{.size = 2, .stride = 2};
      step.is_compared = i + 1 == block.second;
      shape.steps.push_back(step);
      in = block.first;
      number += 2;  // the ReLU counts, too
    }
    ++number;  // and the pool
  }
  return shape;
}

detail::LpipsTrunkShape squeeze_shape() {
  const ops::PoolWindow pool{.size = 3, .stride = 2, .round_up = true};
  return {17,
          {{.number = 0, .in = 3, .out = 64, .kernel = 3, .stride = 2, .pad = 0, .is_compared = true},
           {.number = 3, .in = 64, .out = 128, .squeezed = 16, .pool = pool},
           {.number = 4, .in = 128, .out = 128, .squeezed = 16, .is_compared = true},
           {.number = 6, .in = 128, .out = 256, .squeezed = 32, .pool = pool},
           {.number = 7, .in = 256, .out = 256, .squeezed = 32, .is_compared = true},
           {.number = 9, .in = 256, .out = 384, .squeezed = 48, .pool = pool, .is_compared = true},
           {.number = 10, .in = 384, .out = 384, .squeezed = 48, .is_compared = true},
           {.number = 11, .in = 384, .out = 512, .squeezed = 64, .is_compared = true},
           {.number = 12, .in = 512, .out = 512, .squeezed = 64, .is_compared = true}}};
}

/// "net.slice1.0.weight" as "features.0.weight"; empty for what LPIPS does not read.
std::string lpips_tensor_name(const std::string& name) {
  constexpr std::string_view slice = "net.slice";
  if (name.starts_with(slice)) {
    const auto dot = name.find('.', slice.size());
    return dot == std::string::npos ? name : "features" + name.substr(dot);
  }
  // The package keeps its linear layers a second time in a list, and the means as buffers.
  for (const std::string_view other : {"classifier.", "lins.", "scaling_layer."})
    if (name.starts_with(other)) return {};
  return name;
}

}  // namespace

namespace detail {

LpipsTrunkShape lpips_trunk_shape(LpipsTrunk trunk) {
  return trunk == LpipsTrunk::alex ? alex_shape() : trunk == LpipsTrunk::vgg ? vgg_shape() : squeeze_shape();
}

}  // namespace detail

std::string_view name(LpipsTrunk trunk) noexcept {
  return std::ranges::find(lpips_trunks, trunk, &std::pair<LpipsTrunk, std::string_view>::first)->second;
}

std::optional<LpipsTrunk> lpips_trunk(std::string_view name) noexcept {
  for (const auto& known : lpips_trunks)
    if (known.second == name) return known.first;
  return std::nullopt;
}

LpipsTrunk lpips_trunk_of(const weights::StateDict& weights) {
  if (weights.contains("features.3.squeeze.weight")) return LpipsTrunk::squeeze;
  if (weights.contains("features.28.weight") && !weights.contains("features.30.weight"))
    return LpipsTrunk::vgg;
  if (weights.contains("features.10.weight") && !weights.contains("features.11.weight"))
    return LpipsTrunk::alex;
  throw WeightError(detail::lpips_name,
                    weights.source() +
                        ": none of LPIPS's networks; expected torchvision's tensors of AlexNet, VGG16 or "
                        "SqueezeNet 1.1 (features.0.weight …) or those of the package lpips "
                        "(net.slice1.0.weight …)",
                    weights.path());
}

weights::StateDict with_lpips_names(const weights::StateDict& weights) {
  std::vector<weights::RenamedTensor> renamed;
  for (const auto& stored : weights.names())
    if (auto own = lpips_tensor_name(stored); !own.empty()) renamed.push_back({std::move(own), stored});
  return weights.renamed(renamed);
}

template class Lpips<float>;
template class Lpips<bfloat16>;

}  // namespace daguerre::models
