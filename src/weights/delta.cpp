#include "daguerre/weights/delta.hpp"

#include <algorithm>
#include <span>
#include <utility>

#include "core/text.hpp"
#include "daguerre/core/error.hpp"
#include "weights/delta_file.hpp"
#include "weights/names.hpp"

namespace daguerre::weights {
namespace {

/// The rows of a weight, widened with zeros, and what deltas make of them.
class ChangedRows final : public ops::RowDecoder {
 public:
  ChangedRows(ops::Weight base, const Shape& shape, std::span<const AppliedDelta> deltas)
      : base_(std::move(base)), row_size_(shape.tail().size()), deltas_(deltas.begin(), deltas.end()) {}

  void decode(const ops::WeightSource& /*source*/, Index begin, Index end, float* out) const override {
    if (base_.row_size() == row_size_) {
      base_.read(begin, end, out);
    } else {
      for (Index row = begin; row < end; ++row) {
        float* const values = out + (row - begin) * row_size_;
        base_.read(row, row + 1, values);
        std::fill(values + base_.row_size(), values + row_size_, 0.0f);
      }
    }
    for (const auto& [delta, strength] : deltas_) delta->apply(begin, end, strength, out);
  }

 private:
  ops::Weight base_;
  Index row_size_;
  std::vector<AppliedDelta> deltas_;
};

/// Rows of a matrix that may begin anywhere in another's.
class PartOfRows final : public ops::RowDecoder {
 public:
  PartOfRows(ops::Weight whole, Index first) : whole_(std::move(whole)), first_(first) {}
  void decode(const ops::WeightSource& source, Index begin, Index end, float* out) const override {
    const Index row = source.shape.tail().size(), width = whole_.row_size();
    std::vector<float> values(static_cast<std::size_t>(width));
    for (Index at = first_ + begin * row, stop = first_ + end * row; at < stop;) {
      const Index from = at / width, skipped = at % width, count = std::min(width - skipped, stop - at);
      if (count == width) {
        whole_.read(from, from + 1, out);
      } else {
        whole_.read(from, from + 1, values.data());
        std::copy_n(values.data() + skipped, count, out);
      }
      at += count;
      out += count;
    }
  }

 private:
  ops::Weight whole_;
  Index first_;
};

/// What a weight is read as when its numbers have changed: its own type, where numbers have one.
DType changed_type(DType dtype) {
  return dtype == DType::f16 || dtype == DType::bf16 ? dtype : DType::f32;
}

bool is_wider(const Shape& shape, const Shape& base) {
  return shape.rank() == base.rank() && base.rank() >= 2 && shape[1] > base[1] &&
         shape.with(1, base[1]) == base;
}

Shape changed_shape(const Shape& base, const std::vector<AppliedDelta>& deltas, const std::string& name) {
  Shape result = base;
  for (const auto& [delta, strength] : deltas) {
    if (delta == nullptr)
      throw ArgumentError(weights_name, "there is no delta for tensor " + in_quotes(name));
    if (is_wider(delta->shape(), result)) result = delta->shape();
  }
  for (const auto& [delta, strength] : deltas)
    if (!(delta->shape() == result))
      throw WeightError(weights_name, "tensor " + in_quotes(name) + " has shape " + to_string(result) +
                                          ", a delta is for " + to_string(delta->shape()));
  return result;
}

/// The changed tensors of a network; places are of no file.
class DeltaFile final : public TensorFile {
 public:
  DeltaFile(const StateDict& weights, const Deltas& deltas) : weights_(weights) {
    std::size_t place = 0;
    for (const auto& [name, applied] : deltas) {
      if (applied.empty()) continue;
      TensorInfo info{.name = name, .shape = changed_shape(weights.shape(name), applied, name)};
      info.dtype = changed_type(weights.find(name)->dtype);
      info.begin = place;
      info.end = place += static_cast<std::size_t>(info.shape.size()) * size_of(info.dtype);
      ++place;  // so that empty tensors have places of their own
      infos_.push_back(info);
      changes_.push_back(applied);
    }
  }

  const std::string& name() const noexcept override { return weights_.source(); }
  std::filesystem::path path() const override { return weights_.path(); }
  std::span<const TensorInfo> tensors() const noexcept override { return infos_; }
  const std::map<std::string, std::string>& metadata() const noexcept override { return metadata_; }

  ops::WeightSource weight(const TensorInfo& info) const override {
    const auto item = find(info);
    const auto& whole = infos_[item];
    auto base = weights_.weight(whole.name, weights_.shape(whole.name));
    if (base.shape.rank() == 0) base.shape = {1};
    auto result = with_deltas(base, changes_[item], whole.name);
    if (info.begin == whole.begin && info.shape == whole.shape) return result;
    const auto first = static_cast<Index>((info.begin - whole.begin) / size_of(whole.dtype));
    result.decoder = std::make_shared<const PartOfRows>(ops::Weight(result), first);
    result.shape = info.shape;
    return result;
  }
  void release_pages(const TensorInfo& info) const noexcept override {
    try {
      weights_.release_pages(infos_[find(info)].name);
    } catch (const Error&) {
      // It was there when the deltas were put on it.
    }
  }

 private:
  std::size_t find(const TensorInfo& info) const {
    const auto after =
        std::upper_bound(infos_.begin(), infos_.end(), info.begin,
                         [](std::size_t place, const TensorInfo& item) { return place < item.begin; });
    return static_cast<std::size_t>(after - infos_.begin()) - 1;
  }

  StateDict weights_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorInfo> infos_;
  std::vector<std::vector<AppliedDelta>> changes_;  // in the same order
};

}  // namespace

void append(Deltas& deltas, const Deltas& more) {
  for (const auto& [name, applied] : more) {
    auto& there = deltas[name];
    there.insert(there.end(), applied.begin(), applied.end());
  }
}

ops::WeightSource with_deltas(const ops::WeightSource& base, const std::vector<AppliedDelta>& deltas,
                              const std::string& name) {
  if (deltas.empty()) return base;
  const Shape shape = changed_shape(base.shape, deltas, name);
  const ops::Weight stored(base);
  ops::WeightSource result = base;  // keeps what pages can be released by
  result.dtype = changed_type(base.dtype);
  result.shape = shape;
  std::vector<AppliedDelta> bound;
  for (const auto& [delta, strength] : deltas) {
    result.decoder = std::make_shared<const ChangedRows>(stored, shape, bound);
    const auto own = delta->bound_to(ops::Weight(result), strength);
    bound.push_back({own == nullptr ? delta : own, strength});
  }
  result.decoder = std::make_shared<const ChangedRows>(stored, shape, bound);
  return result;
}

std::shared_ptr<const TensorFile> delta_file(const StateDict& weights, const Deltas& deltas) {
  return std::make_shared<const DeltaFile>(weights, deltas);
}

}  // namespace daguerre::weights
