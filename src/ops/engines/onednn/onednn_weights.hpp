#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "daguerre/ops/context.hpp"
#include "daguerre/ops/weight_source.hpp"
#include "ops/engines/onednn/onednn_primitives.hpp"

/// A layer's weights in the layouts that oneDNN asks for.
namespace daguerre::ops::onednn {

inline void reorder(const dnnl::engine& engine, memory source, memory packed) {
  dnnl::stream stream(engine);
  dnnl::reorder(source, packed).execute(stream, source, packed);
  stream.wait();
}

/// A layout's output channels, cut into groups that are reordered apart. All but the last are described as
/// the first is and differ in where they begin, so that one primitive does for them.
class ChannelParts {
 public:
  /// `axis` is the output channels'. No parts where the layout's blocks are not whole in groups of
  /// `channels`, or its sums belong to all.
  ChannelParts(const memory::desc& layout, int axis, memory::dim channels) : channels_(channels) {
    const auto a = static_cast<std::size_t>(axis);
    const auto dims = layout.dims();
    const auto total = dims[a];
    if (total < 2 * channels) return;
    auto part = dims;
    memory::dims offsets(dims.size(), 0);
    try {
      part[a] = channels;
      const auto first = layout.submemory_desc(part, offsets);
      for (; offsets[a] < total; offsets[a] += channels) {
        part[a] = std::min(channels, total - offsets[a]);
        const auto desc = layout.submemory_desc(part, offsets);
        if (part[a] == channels)
          parts_.push_back({first, offset_of(desc), channels});
        else
          parts_.push_back({desc, 0, part[a]});  // knows itself where it begins
      }
    } catch (const dnnl::error&) {
      parts_.clear();
    }
  }

  struct Part {
    memory::desc layout;
    memory::dim offset;  ///< elements
    memory::dim channels;
  };
  bool empty() const noexcept { return parts_.empty(); }
  Index size() const noexcept { return static_cast<Index>(parts_.size()); }
  const Part& operator[](Index i) const { return parts_[static_cast<std::size_t>(i)]; }
  /// The first channel of part `i`.
  Index first(Index i) const noexcept { return i * channels_; }

 private:
  memory::dim channels_;
  std::vector<Part> parts_;
};

/// Writes a weight, rounded to T, in any layout.
template <class T>
class WeightWriter {
 public:
  /// `weight`'s rows are output channels; oneDNN sees them as `dims` in the order `plain`, the output
  /// channels on `axis`.
  WeightWriter(const dnnl::engine& engine, const Weight& weight, memory::dims dims, Tag plain, int axis)
      : engine_(engine), weight_(weight), dims_(std::move(dims)), plain_(plain), axis_(axis) {}

  const Weight& weight() const noexcept { return weight_; }
  /// The weight's own elements, where they lie in that layout; else nullptr.
  const T* elements(const memory::desc& layout) const {
    return layout == plain_desc(weight_.rows()) ? weight_.elements<T>() : nullptr;
  }

  void write(const Context& context, const memory::desc& layout, std::byte* to) const {
    if (layout == plain_desc(weight_.rows())) return read_all(context, reinterpret_cast<T*>(to));
    if (layout.get_size() >= smallest_divided)
      for (const memory::dim channels : {64, 192}) {  // whole blocks of nearly every layout
        const ChannelParts parts(layout, axis_, channels);
        if (!parts.empty()) return write_parts(context, parts, channels, reinterpret_cast<T*>(to));
      }
    const T* values = weight_.elements<T>();
    Tensor<T> read;
    if (values == nullptr) {
      read = context.empty<T>({weight_.rows(), weight_.row_size()});
      read_all(context, read.data());
      values = read.data();
    }
    reorder(engine_, borrow(plain_desc(weight_.rows()), engine_, values), memory(layout, engine_, to));
  }

 private:
  static constexpr std::size_t smallest_divided = std::size_t{1} << 20;

  memory::desc plain_desc(memory::dim channels) const {
    auto dims = dims_;
    dims[static_cast<std::size_t>(axis_)] = channels;
    return {dims, type_of<T>, plain_};
  }
  void read_all(const Context& context, T* to) const {
    const Index size = std::max<Index>(1, weight_.row_size());
    parallel_for(context.threads, weight_.rows(), std::max<Index>(1, 65536 / size),
                 [&](Index begin, Index end) { weight_.read(begin, end, to + begin * size); });
  }
  void write_parts(const Context& context, const ChannelParts& parts, memory::dim channels, T* to) const {
    const T* const stored = weight_.elements<T>();
    parallel_for(context.threads, parts.size(), 1, [&](Index begin, Index end) {
      const OneThread one;
      Tensor<T> rows;
      if (stored == nullptr) rows = context.empty<T>({channels, weight_.row_size()});
      for (Index i = begin; i < end; ++i) {
        const auto& part = parts[i];
        const Index first = parts.first(i);
        if (stored == nullptr) weight_.read(first, first + part.channels, rows.data());
        const T* const from = stored == nullptr ? rows.data() : stored + first * weight_.row_size();
        reorder(engine_, borrow(plain_desc(part.channels), engine_, from),
                memory(part.layout, engine_, to + part.offset));
      }
    });
  }

  dnnl::engine engine_;
  Weight weight_;
  memory::dims dims_;
  Tag plain_;
  int axis_;
};

/// A layer's packed weights in every layout that was asked for; as a rule one. Not to be used from two
/// threads at once.
class PackedWeights {
 public:
  /// Calls write(layout, bytes) for `packed`, the layout for a typical input.
  template <class Write>
  PackedWeights(const dnnl::engine& engine, const memory::desc& packed, const Write& write)
      : engine_(engine) {
    layouts_.push_back(written(packed, write));
  }

  /// The weights in `layout`. A layout that turns out to be wanted from the first input on replaces the one
  /// packed at load, so that a model run at one size has its weights once.
  memory get(const memory::desc& layout) {
    for (const auto& each : layouts_)
      if (each.view.get_desc() == layout) return is_used_ = true, each.view;
    auto packed = written(layout, [&](const memory::desc&, std::byte* to) {
      reorder(engine_, layouts_.front().view, memory(layout, engine_, to));
    });
    if (!is_used_) layouts_.clear();
    is_used_ = true;
    return layouts_.emplace_back(std::move(packed)).view;
  }

 private:
  struct Packed {
    std::shared_ptr<std::byte> bytes;
    memory view;
  };
  template <class Write>
  Packed written(const memory::desc& layout, const Write& write) const {
    Packed packed{allocate_bytes(layout.get_size()), {}};
    packed.view = memory(layout, engine_, packed.bytes.get());
    write(layout, packed.bytes.get());
    return packed;
  }

  dnnl::engine engine_;
  std::vector<Packed> layouts_;
  bool is_used_ = false;
};

/// A layer's weights: packed, or mapped and written into the context's scratch memory at each product.
template <class T>
class LayerWeights {
 public:
  LayerWeights(const Context& context, const WeightWriter<T>& writer, const memory::desc& packed) {
    if (context.placement == WeightPlacement::mapped) {
      mapped_ = writer;
      return;
    }
    packed_.emplace(cpu(), packed,
                    [&](const memory::desc& layout, std::byte* to) { writer.write(context, layout, to); });
    writer.weight().release();
  }

  /// What a primitive keeps: nothing where weights are mapped. Not to be called from two threads at once.
  memory kept(const memory::desc& layout) { return packed_ ? packed_->get(layout) : memory(); }

  /// Mapped weights, for the time of one product. What it has read is released behind it.
  class Call {
   public:
    Call(const Context& context, const LayerWeights& weights) : context_(context), weights_(weights) {}
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
    ~Call() {
      if (weights_.mapped_) weights_.mapped_->weight().release();
    }
    /// Gives `prepared` its weights in `layout`, unless it keeps them.
    void provide(Prepared& prepared, const memory::desc& layout) {
      if (!weights_.mapped_) return;
      for (const auto& [bytes, view] : written_)
        if (view.get_desc() == layout) return void(prepared.weights = view);
      const auto& writer = *weights_.mapped_;
      if (const T* const stored = writer.elements(layout))
        return void(prepared.weights = borrow(layout, cpu(), stored));
      auto bytes = context_.pool.allocate(layout.get_size());
      writer.write(context_, layout, bytes.get());
      prepared.weights = memory(layout, cpu(), bytes.get());
      written_.emplace_back(std::move(bytes), prepared.weights);
    }

    /// Rows of them, as `Weight::read` gives them.
    void read(Index begin, Index end, T* out) const { weights_.mapped_->weight().read(begin, end, out); }

   private:
    const Context& context_;
    const LayerWeights& weights_;
    std::vector<std::pair<std::shared_ptr<std::byte>, memory>> written_;
  };

 private:
  std::optional<PackedWeights> packed_;
  std::optional<WeightWriter<T>> mapped_;
};

}  // namespace daguerre::ops::onednn
