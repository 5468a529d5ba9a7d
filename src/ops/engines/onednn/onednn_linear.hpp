#pragma once

#include <algorithm>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ops/engines/engines.hpp"
#include "ops/engines/native/few_rows.hpp"
#include "ops/engines/native/kernels.hpp"
#include "ops/engines/native/work_tiles.hpp"
#include "ops/engines/onednn/onednn_weights.hpp"

/// Linear layers on oneDNN's matrix products.
namespace daguerre::ops::onednn {

/// Where oneDNN asks for a plain matrix, the weights stay as files have them, `[out, in]`: its kernels copy
/// that at least as fast, and some of the columns are a matrix, too, so that they can be divided.
template <class T>
class OneDnnLinear final : public PackedLinear<T> {
 public:
  OneDnnLinear(const Context& context, const Weight& weight, const Tensor<float>& bias, Activation activation)
      : engine_(cpu()),
        in_(weight.dim(1)),
        out_(weight.dim(0)),
        bias_(bias),
        activation_(activation),
        layout_(desc(typical(), any()).weights_desc()),
        is_plain_(layout_ == memory::desc({in_, out_}, type_of<T>, Tag::ab)),
        panel_width_(panel_width()),
        is_unpacked_(unpacks(context, weight)),
        parts_(parts_of_packed(context)),
        weights_(context, WeightWriter<T>(engine_, weight, {in_, out_}, Tag::ba, 1),
                 is_plain_ ? columns(out_) : layout_) {
    if (is_plain_ || panel_width_ > 0) few_rows_ = few_rows(context, weight);
  }

  Tensor<T> operator()(const Context& context, const Tensor<T>& x) const override {
    return multiply<T>(context, x, nullptr);
  }
  Tensor<float> accumulate(const Context& context, const Tensor<T>& x,
                           const Tensor<float>* residual) const override {
    return multiply<float>(context, x, residual);
  }

 private:
  /// Of a tile.
  struct Key {
    Index rows, columns;
    bool residual;
    bool rounded;        ///< to T, else float32
    bool alone = false;  ///< some columns with a result of their own; else columns of the whole result
    auto operator<=>(const Key&) const = default;
  };
  template <class Out>
  struct Operands {
    const T* x;
    const float* residual;
    Out* y;
  };

  template <class Out>
  Tensor<Out> multiply(const Context& context, const Tensor<T>& x, const Tensor<float>* residual) const {
    auto y = context.empty<Out>(linear_output_shape(x.shape(), in_, out_));
    check_residual(y.shape(), residual, "linear");
    if (y.empty()) return y;
    const Operands<Out> operands{x.data(), residual == nullptr ? nullptr : residual->data(), y.data()};
    if (y.size() / out_ <= kernels::few_rows && multiply_few(context, y.size() / out_, operands)) return y;
    translated("linear", [&] {
      const Index rows = y.size() / out_;
      auto tiles = ProductTiles::of(rows, in_, out_, is_plain_);
      if (is_unpacked_ || (!parts_.empty() && tiles.rows < enough_rows))
        return multiply_apart(context, rows, operands);
      auto prepared = prepared_tiles<Out>(rows, tiles, residual != nullptr);
      if (!prepared.are_fast) {
        tiles = ProductTiles::of(rows, in_, out_, false);
        prepared = prepared_tiles<Out>(rows, tiles, residual != nullptr);
      }
      typename LayerWeights<T>::Call weights(context, weights_);
      for (auto& row : prepared.of)
        for (auto& each : row) weights.provide(each, layout_of(each));
      parallel_for(context.threads, tiles.row_tiles * tiles.column_tiles, 1, [&](Index begin, Index end) {
        const OneThread one;
        for (Index tile = begin; tile < end; ++tile)
          run_tile(context, prepared, tiles, tile / tiles.column_tiles, tile % tiles.column_tiles, operands);
      });
    });
    return y;
  }

  /// Primitives for the tiles in the middle, and for those at the ends, which may be smaller.
  struct PreparedTiles {
    Prepared of[2][2];  ///< [last row][last column]
    bool are_fast = true;
  };
  template <class Out>
  PreparedTiles prepared_tiles(Index rows, const ProductTiles& tiles, bool residual,
                               bool alone = false) const {
    PreparedTiles result;
    const Index heights[] = {tiles.rows, rows - (tiles.row_tiles - 1) * tiles.rows};
    const Index widths[] = {tiles.columns, out_ - (tiles.column_tiles - 1) * tiles.columns};
    for (int i = 0; i < 2; ++i)
      for (int j = 0; j < 2; ++j) {
        const Key key{heights[i], widths[j], residual, std::is_same_v<Out, T>, alone};
        auto& prepared = result.of[i][j] = cache_.get(key, [&] { return prepare(key); });
        result.are_fast &= prepared.is_fast;
      }
    return result;
  }
  Prepared prepare(const Key& key) const {
    const auto d = desc(key, key.alone ? part_layout(key.columns) : is_plain_ ? columns(key.columns) : any());
    auto prepared = Prepared::from(d, dnnl::matmul(d));
    if (!is_unpacked_) prepared.weights = weights_.kept(key.alone ? layout_ : layout_of(prepared));
    prepared.is_fast = std::string_view(d.impl_info_str()).find("ref") == std::string_view::npos;
    return prepared;
  }

  /// Of the whole layer's weights, for that tile.
  memory::desc layout_of(const Prepared& prepared) const {
    return is_plain_ ? columns(out_) : prepared.weights_layout;
  }

  template <class Out>
  void run_tile(const Context& context, const PreparedTiles& all, const ProductTiles& tiles, Index row_tile,
                Index column_tile, const Operands<Out>& operands) const {
    const auto& prepared = all.of[row_tile + 1 == tiles.row_tiles][column_tile + 1 == tiles.column_tiles];
    const Index row = row_tile * tiles.rows, column = column_tile * tiles.columns;
    const Index at = row * out_ + column;
    Arguments arguments{{DNNL_ARG_SRC, borrow(prepared.source, engine_, operands.x + row * in_)},
                        {DNNL_ARG_DST, borrow(prepared.destination, engine_, operands.y + at)}};
    if (tiles.column_tiles == 1)
      arguments.emplace(DNNL_ARG_WEIGHTS, prepared.weights);
    else
      arguments.emplace(DNNL_ARG_WEIGHTS,
                        borrow(prepared.weights_layout, engine_,
                               static_cast<const T*>(prepared.weights.get_data_handle()) + column * in_));
    if (!bias_.empty())
      arguments.emplace(DNNL_ARG_BIAS,
                        borrow(bias_desc(prepared.destination.dims()[1]), engine_, bias_.data() + column));
    if (operands.residual != nullptr)
      arguments.emplace(
          DNNL_ARG_ATTR_MULTIPLE_POST_OP(activation_ == Activation::none ? 0 : 1) | DNNL_ARG_SRC_1,
          borrow(prepared.destination, engine_, operands.residual + at));
    execute(context, prepared, engine_, std::move(arguments));
  }

  // ---- few rows, for which oneDNN is not asked

  /// Columns of a panel where packed weights lie in such as kernels::PanelDot reads; else 0.
  Index panel_width() const {
    if (is_plain_ || kernels::active_dots().template panels<T>() == nullptr) return 0;
    constexpr bool is_float = std::is_same_v<T, float>;
    for (const auto& [width, tag] : {std::pair{16, is_float ? Tag::BA16a16b : Tag::BA16a16b2a},
                                     {32, is_float ? Tag::BA16a32b : Tag::BA16a32b2a},
                                     {48, is_float ? Tag::BA16a48b : Tag::BA16a48b2a},
                                     {64, is_float ? Tag::BA16a64b : Tag::BA16a64b2a}})
      if (layout_ == memory::desc({in_, out_}, type_of<T>, tag)) return width;
    return 0;
  }
  /// Rows that are read in place: mapped ones, and those that oneDNN has plain.
  std::shared_ptr<const FewRowsWeights<T>> few_rows(const Context& context, const Weight& weight) const {
    if (context.placement == WeightPlacement::mapped)
      return std::make_shared<const FewRowsWeights<T>>(weight);
    if (!is_plain_) return nullptr;
    const auto plain = weights_.kept(columns(out_));
    const auto* const data = static_cast<const std::byte*>(plain.get_data_handle());
    const auto size = static_cast<std::size_t>(in_ * out_) * sizeof(T);
    // The layer's own: weights in one plain layout are never laid out anew.
    return std::make_shared<const FewRowsWeights<T>>(
        WeightSource{.dtype = dtype_of<T>(), .shape = {out_, in_}, .bytes = {data, size}});
  }
  memory packed_panels() const {
    return cache_
        .get(Key{0, out_, false, false},
             [&] {
               Prepared result;
               result.weights = weights_.kept(layout_);
               return result;
             })
        .weights;
  }
  /// False where the weights lie in a way that only oneDNN reads.
  template <class Out>
  bool multiply_few(const Context& context, Index rows, const Operands<Out>& operands) const {
    const kernels::Epilogue epilogue{bias_.empty() ? nullptr : bias_.data(), activation_, operands.residual};
    if (few_rows_ != nullptr) {
      multiply_few_rows(context, rows, *few_rows_, operands.x, epilogue, operands.y);
      few_rows_->weight().release();
      return true;
    }
    if (panel_width_ > 0) {
      const auto packed = packed_panels();
      multiply_few_rows(context, rows, out_, in_, static_cast<const T*>(packed.get_data_handle()),
                        panel_width_, operands.x, epilogue, operands.y);
      return true;
    }
    return false;
  }

  // ---- a tile of columns at a time, in the cache

  // oneDNN's kernels that it calls brg add up in one order whatever the extents are, so that some columns
  // alone have the bits that they have among all. Of mapped weights that are not stored as they are
  // multiplied, each thread unpacks a tile for itself. Large packed ones are read once instead of once for
  // each tile of few rows.

  /// Enough rows that oneDNN's own copy of the tile's weights costs nothing, and few enough that their
  /// results stay in the cache.
  static constexpr Index apart_rows = 512;
  static constexpr Index apart_bytes = 768 * 1024;  ///< of a tile's weights
  static constexpr Index column_multiple = 64;      ///< oneDNN's
  /// Columns are divided among threads while there are as many tiles of them, else rows, too.
  static constexpr Index enough_tiles = 32;
  static constexpr Index large_bytes = Index{4} << 20;
  /// Rows for which all weights are worth reading.
  static constexpr Index enough_rows = 256;

  Index apart_columns() const {
    const Index fitting = apart_bytes / std::max<Index>(1, in_ * static_cast<Index>(sizeof(T)));
    return std::clamp<Index>(fitting / column_multiple, 1, 4) * column_multiple;
  }
  static bool is_known(const dnnl::matmul::primitive_desc& d) {
    return std::string_view(d.impl_info_str()).starts_with("brg");
  }
  /// Whether both, some columns with weights in that layout and all of them, are multiplied by such kernels.
  bool is_same_apart(const memory::desc& layout) const {
    const Key tile{apart_rows, layout.dims()[1], false, true, true};
    return is_known(desc(typical(), any())) && is_known(desc(tile, layout));
  }
  bool unpacks(const Context& context, const Weight& weight) const {
    return context.placement == WeightPlacement::mapped && !is_plain_ && weight.elements<T>() == nullptr &&
           out_ > apart_columns() && is_same_apart(columns(apart_columns()));
  }
  /// The tiles of packed weights, all alike: oneDNN 2.6's kernels do not heed where a layout says that it
  /// begins. None where the weights are small.
  ChannelParts parts_of_packed(const Context& context) const {
    const ChannelParts none(layout_, 1, out_);
    const bool is_large = in_ * out_ * static_cast<Index>(sizeof(T)) > large_bytes;
    if (context.placement != WeightPlacement::packed || is_plain_ || !is_large) return none;
    Index width = apart_columns();
    while (width > 0 && out_ % width != 0) width -= column_multiple;
    if (width == 0) return none;
    ChannelParts parts(layout_, 1, width);
    return !parts.empty() && is_same_apart(parts[0].layout) ? parts : none;
  }
  memory::desc part_layout(Index count) const { return is_unpacked_ ? columns(count) : parts_[0].layout; }

  template <class Out>
  void multiply_apart(const Context& context, Index rows, const Operands<Out>& operands) const {
    ProductTiles tiles{std::min(rows, apart_rows), is_unpacked_ ? apart_columns() : parts_[0].channels};
    tiles.row_tiles = (rows + tiles.rows - 1) / tiles.rows;
    tiles.column_tiles = (out_ + tiles.columns - 1) / tiles.columns;
    const auto prepared = prepared_tiles<Out>(rows, tiles, false, true);
    const Index grain = tiles.column_tiles >= enough_tiles ? tiles.row_tiles : 1;
    typename LayerWeights<T>::Call weights(context, weights_);
    parallel_for(context.threads, tiles.row_tiles * tiles.column_tiles, grain, [&](Index begin, Index end) {
      const OneThread one;
      Tensor<T> unpacked;
      if (is_unpacked_) unpacked = context.empty<T>({tiles.columns, in_});
      auto result = context.empty<Out>({tiles.rows, tiles.columns});
      for (Index tile = begin; tile < end; ++tile) {
        const Index row_tile = tile % tiles.row_tiles, column_tile = tile / tiles.row_tiles;
        const Index first = column_tile * tiles.columns;
        if (is_unpacked_ && (tile == begin || row_tile == 0))
          weights.read(first, std::min(out_, first + tiles.columns), unpacked.data());
        context.check_stop();
        const auto& primitive =
            prepared.of[row_tile + 1 == tiles.row_tiles][column_tile + 1 == tiles.column_tiles];
        const T* const from =
            is_unpacked_ ? std::as_const(unpacked).data() : packed_part(primitive, column_tile);
        run_apart(context, primitive, row_tile * tiles.rows, first, from, operands, result.data());
      }
    });
  }

  const T* packed_part(const Prepared& prepared, Index part) const {
    return static_cast<const T*>(prepared.weights.get_data_handle()) + parts_[part].offset;
  }

  template <class Out>
  void run_apart(const Context& context, const Prepared& prepared, Index row, Index column, const T* weights,
                 const Operands<Out>& operands, Out* result) const {
    const Index rows = prepared.destination.dims()[0], columns = prepared.destination.dims()[1];
    Arguments arguments{{DNNL_ARG_SRC, borrow(prepared.source, engine_, operands.x + row * in_)},
                        {DNNL_ARG_WEIGHTS, borrow(prepared.weights_layout, engine_, weights)},
                        {DNNL_ARG_DST, borrow(prepared.destination, engine_, result)}};
    if (!bias_.empty())
      arguments.emplace(DNNL_ARG_BIAS, borrow(bias_desc(columns), engine_, bias_.data() + column));
    execute(context, prepared, engine_, std::move(arguments));
    for (Index i = 0; i < rows; ++i, result += columns) {
      const Index at = (row + i) * out_ + column;
      if constexpr (std::is_same_v<Out, float>)
        if (operands.residual != nullptr) {
          kernels::active().add(result, operands.residual + at, operands.y + at, columns, 1.0f);
          continue;
        }
      std::copy_n(result, columns, operands.y + at);
    }
  }

  memory::desc bias_desc(Index columns) const {
    return bias_.empty() ? memory::desc() : memory::desc({1, columns}, Type::f32, Tag::ab);
  }
  /// Some neighbouring columns of a result that has as many as the layer.
  memory::desc within(Index rows, Index columns, Type type) const {
    return {{rows, columns}, type, memory::dims{out_, 1}};
  }
  /// As many columns of the plain weights.
  memory::desc columns(Index count) const { return {{in_, count}, type_of<T>, memory::dims{1, in_}}; }
  memory::desc any() const { return {{in_, out_}, type_of<T>, Tag::any}; }
  Key typical() const { return {1024, out_, false, true}; }
  dnnl::matmul::primitive_desc desc(const Key& key, const memory::desc& weights) const {
    const Type type = key.rounded ? type_of<T> : Type::f32;
    const auto result = key.alone ? memory::desc({key.rows, key.columns}, type, Tag::ab)
                                  : within(key.rows, key.columns, type);
    dnnl::post_ops operations;
    append_activation(operations, activation_);
    if (key.residual) operations.append_binary(dnnl::algorithm::binary_add, result);
    return matmul_desc(engine_, {{key.rows, in_}, type_of<T>, Tag::ab}, weights, bias_desc(key.columns),
                       result, attributes_with(operations));
  }

  dnnl::engine engine_;
  Index in_, out_;
  Tensor<float> bias_;
  Activation activation_;
  memory::desc layout_;  ///< of packed weights
  bool is_plain_;
  Index panel_width_;  ///< of packed weights that few rows read; 0: in no such panels
  bool is_unpacked_;
  ChannelParts parts_;
  mutable LayerWeights<T> weights_;
  std::shared_ptr<const FewRowsWeights<T>> few_rows_;  ///< nullptr where there are no rows
  mutable PrimitiveCache<Key> cache_;
};

}  // namespace daguerre::ops::onednn
