#include "weights/scaled_tensors.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {
namespace {

constexpr std::string_view weight_end = ".weight";
constexpr std::array<std::string_view, 2> scale_ends{".scale_weight", ".weight_scale"};

/// Scales of what goes into a product, which is not rounded here, and words on how the others were made.
bool is_left_out(std::string_view name) {
  constexpr std::array<std::string_view, 3> ends{".scale_input", ".input_scale", ".comfy_quant"};
  return name == "scaled_fp8" || name.ends_with(".scaled_fp8") ||
         std::any_of(ends.begin(), ends.end(), [&](std::string_view end) { return name.ends_with(end); });
}

/// The weight that a scale is for; nothing for other names.
std::optional<std::string> scaled_name(std::string_view name) {
  for (const auto end : scale_ends)
    if (name.ends_with(end)) return std::string(name.substr(0, name.size() - end.size())).append(weight_end);
  return std::nullopt;
}

class ScaledRows final : public ops::RowDecoder {
 public:
  ScaledRows(ops::Weight stored, float scale) : stored_(std::move(stored)), scale_(scale) {}
  void decode(const ops::WeightSource& source, Index begin, Index end, float* out) const override {
    stored_.read(begin, end, out);
    const Index count = (end - begin) * source.shape.tail().size();
    std::for_each(out, out + count, [this](float& value) { value *= scale_; });
  }

 private:
  ops::Weight stored_;
  float scale_;
};

/// The tensors of other files, those with a scale multiplied by it. Places in the file are of no file: they
/// only tell which tensor, and which of its rows, is meant.
class ScaledFile final : public TensorFile {
 public:
  explicit ScaledFile(const StateDict& weights)
      : weights_(weights), path_(weights.path()), metadata_(weights.metadata()) {
    std::map<std::string, float> scales;
    for (const auto& name : weights.names())
      if (const auto scaled = scaled_name(name); scaled && weights.contains(*scaled))
        scales[*scaled] = scale_in(name);
    std::size_t place = 0;
    for (const auto& name : weights.names()) {
      const auto scaled = scaled_name(name);
      if (is_left_out(name) || (scaled && scales.contains(*scaled))) continue;
      auto info = *weights.find(name);
      const std::size_t bytes = info.end - info.begin;
      const auto scale = scales.find(name);
      stored_.push_back({info, scale == scales.end() ? std::nullopt : std::optional(scale->second)});
      if (stored_.back().scale) info.dtype = DType::f32;
      stored_.back().place = info.begin = place;
      info.end = place += bytes;
      info.lead = 0;
      infos_.push_back(std::move(info));
      ++place;  // so that empty tensors have places of their own
    }
  }

  const std::string& name() const noexcept override { return weights_.source(); }
  std::filesystem::path path() const override { return path_; }
  std::span<const TensorInfo> tensors() const noexcept override { return infos_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }

  ops::WeightSource weight(const TensorInfo& info) const override {
    const auto& stored = find(info);
    auto source = weights_.weight(stored.info.name, stored.info.shape);
    if (stored.scale) return scaled(std::move(source), *stored.scale, stored, info);
    if (!(info.shape == stored.info.shape) || info.lead != 0) take_part(source, stored, info);
    return source;
  }
  void release_pages() const noexcept override { weights_.release_pages(); }
  void release_pages(const TensorInfo& info) const noexcept override {
    try {
      weights_.release_pages(find(info).info.name);
    } catch (const Error&) {
      // It was found when the file was opened.
    }
  }

 private:
  struct Stored {
    TensorInfo info;
    std::optional<float> scale;
    std::size_t place = 0;
  };

  float scale_in(const std::string& name) const {
    const Shape shape = weights_.shape(name);
    if (shape.size() != 1)
      throw WeightError(weights_name, weights_.source() + ": tensor " + in_quotes(name) + " has shape " +
                                          to_string(shape) + ", expected one number, a weight's scale");
    return weights_.tensor(name, shape).data()[0];
  }
  const Stored& find(const TensorInfo& info) const {
    const auto after =
        std::upper_bound(stored_.begin(), stored_.end(), info.begin,
                         [](std::size_t place, const Stored& item) { return place < item.place; });
    return *std::prev(after);
  }
  /// Leaves the rows of `source` that `info` means, or the whole in another shape.
  static void take_part(ops::WeightSource& source, const Stored& stored, const TensorInfo& info) {
    const auto bytes = source.bytes.subspan(info.begin - stored.place, info.end - info.begin);
    if (is_block(source.dtype)) {
      source = ops::block_source(source.dtype, info.shape, bytes, source.owner, info.lead);
    } else {
      source.bytes = bytes;
      source.shape = info.shape;
    }
  }
  static ops::WeightSource scaled(ops::WeightSource source, float scale, const Stored& stored,
                                  const TensorInfo& info) {
    take_part(source, stored, info);
    if (source.shape.rank() == 0) source.shape = {1};
    return {.dtype = DType::f32,
            .shape = info.shape,
            .bytes = {},
            .decoder = std::make_shared<const ScaledRows>(ops::Weight(std::move(source)), scale)};
  }

  StateDict weights_;
  std::filesystem::path path_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorInfo> infos_;
  std::vector<Stored> stored_;  // in the same order
};

}  // namespace

StateDict with_scales(const StateDict& weights) {
  const auto names = weights.names();
  const bool any = std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    const auto scaled = scaled_name(name);
    return is_left_out(name) || (scaled && weights.contains(*scaled));
  });
  if (!any) return weights;
  return StateDict({std::make_shared<const ScaledFile>(weights)}, weights.source());
}

}  // namespace daguerre::weights
