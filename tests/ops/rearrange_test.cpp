#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "daguerre/ops/blend.hpp"
#include "daguerre/ops/rearrange-inl.hpp"
#include "daguerre/ops/space_time-inl.hpp"
#include "daguerre/ops/tokens-inl.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::test;
using Extents = std::vector<Index>;

namespace {

/// Shapes, seeds and places, other ones at each run.
struct Draws {
  unsigned seed = std::random_device{}();
  std::mt19937 generator{seed};
  Index operator()(Index least, Index most) {
    return std::uniform_int_distribution<Index>(least, most)(generator);
  }
  Extents shape() {
    Extents extents(static_cast<std::size_t>((*this)(1, 5)));
    for (Index& extent : extents) extent = (*this)(1, 6);
    return extents;
  }
};

Shape shape_of(const Extents& extents) {
  return Shape(std::span<const Index>(extents));
}

/// `of(index)` for every element of a tensor of that shape, index being one number for each axis.
template <class F>
Tensor<float> made(const Extents& extents, const F& of) {
  Tensor<float> result(shape_of(extents));
  Extents index(extents.size());
  for (float& value : result.span()) {
    value = of(index);
    for (std::size_t axis = extents.size(); axis-- > 0;) {
      if (++index[axis] < extents[axis]) break;
      index[axis] = 0;
    }
  }
  return result;
}

float at(const Tensor<float>& x, const Extents& index) {
  Index offset = 0;
  for (std::size_t axis = 0; axis < index.size(); ++axis)
    offset = offset * x.dim(static_cast<int>(axis)) + index[axis];
  return x.data()[offset];
}

bool same(const Tensor<float>& a, const Tensor<float>& b) {
  return a.shape() == b.shape() && std::equal(a.span().begin(), a.span().end(), b.span().begin());
}

}  // namespace

TEST_CASE("concat joins along any axis", "[ops][rearrange]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const auto context = context_for("native");
  for (int round = 0; round < 50; ++round) {
    auto extents = draw.shape();
    const auto axis = static_cast<std::size_t>(draw(0, static_cast<Index>(extents.size()) - 1));
    std::vector<Tensor<float>> parts;
    std::vector<std::pair<std::size_t, Index>> from;  // which part, and where in it
    for (Index count = draw(1, 4); count > 0; --count) {
      extents[axis] = draw(0, 4);
      for (Index i = 0; i < extents[axis]; ++i) from.emplace_back(parts.size(), i);
      parts.push_back(random_tensor(shape_of(extents), draw.seed + static_cast<unsigned>(parts.size())));
    }
    extents[axis] = static_cast<Index>(from.size());
    const auto expected = made(extents, [&](Extents index) {
      const auto [part, place] = from[static_cast<std::size_t>(index[axis])];
      index[axis] = place;
      return at(parts[part], index);
    });
    const int counted = static_cast<int>(axis) - (draw(0, 1) == 0 ? 0 : static_cast<int>(extents.size()));
    CHECK(same(ops::concat<float>(context, parts, counted), expected));
    std::vector<Tensor<bfloat16>> rounded;
    for (const auto& part : parts) rounded.push_back(part.to<bfloat16>());
    CHECK(same(ops::concat<bfloat16>(context, rounded, counted).to<float>(),
               expected.to<bfloat16>().to<float>()));
  }
}

TEST_CASE("swap_axes exchanges the second axis and the third", "[ops][rearrange]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const auto context = context_for("native");
  for (int round = 0; round < 30; ++round) {
    Extents extents{draw(1, 3), draw(1, 5), draw(1, 5)};
    for (Index more = draw(0, 2); more > 0; --more) extents.push_back(draw(1, 4));
    const auto x = random_tensor(shape_of(extents), draw.seed);
    std::swap(extents[1], extents[2]);
    const auto expected = made(extents, [&](Extents index) {
      std::swap(index[1], index[2]);
      return at(x, index);
    });
    CHECK(same(ops::swap_axes(context, x), expected));
    CHECK(same(ops::swap_axes(context, x.to<bfloat16>()).to<float>(), expected.to<bfloat16>().to<float>()));
  }
  expect_error<ArgumentError>(
      [&] {
        ops::swap_axes(context, random_tensor({2, 3}, 1));
      },
      {"[swap_axes]", "[2, 3]"});
}

TEST_CASE("crop, narrow and chunk cut out what they are asked for", "[ops][rearrange]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const auto context = context_for("native");
  for (int round = 0; round < 100; ++round) {
    const auto extents = draw.shape();
    const auto x = random_tensor(shape_of(extents), draw.seed);
    Extents begin, box;
    for (const Index extent : extents) {
      const bool whole = draw(0, 2) == 0;
      begin.push_back(whole ? 0 : draw(0, extent));
      box.push_back(whole ? extent : draw(0, extent - begin.back()));
    }
    const auto expected = made(box, [&](Extents index) {
      for (std::size_t axis = 0; axis < index.size(); ++axis) index[axis] += begin[axis];
      return at(x, index);
    });
    CHECK(same(ops::crop(context, x, begin, shape_of(box)), expected));
    CHECK(same(ops::crop(context, x.to<bfloat16>(), begin, shape_of(box)).to<float>(),
               expected.to<bfloat16>().to<float>()));

    const int axis = static_cast<int>(draw(0, x.rank() - 1));
    const Index first = draw(0, x.dim(axis)), length = draw(0, x.dim(axis) - first);
    auto narrowed = extents;
    narrowed[static_cast<std::size_t>(axis)] = length;
    const auto slice = made(narrowed, [&](Extents index) {
      index[static_cast<std::size_t>(axis)] += first;
      return at(x, index);
    });
    CHECK(same(ops::narrow(context, x, axis - (round % 2 == 0 ? 0 : x.rank()), first, length), slice));

    // Parts joined again are the whole.
    const int count = static_cast<int>(x.dim(axis));
    const auto parts = ops::chunk(context, x, count, axis);
    CHECK(parts.size() == static_cast<std::size_t>(count));
    CHECK(same(ops::concat<float>(context, parts, axis), x));
  }
  const auto x = random_tensor({3, 4}, 1);
  CHECK(ops::narrow(context, x, 0, 1, 2).data() == x.data() + 4);  // shared
}

TEST_CASE("boxes and parts that are not there are refused", "[ops][rearrange]") {
  const auto context = context_for("native");
  const auto x = random_tensor({2, 3, 4}, 1);
  const std::array<Index, 3> origin{}, behind{0, 2, 0}, before{0, -1, 0};
  const std::array<Index, 2> flat{};
  const auto cut = [&](std::span<const Index> begin, const Shape& extents) {
    return [&context, &x, begin, extents] { ops::crop(context, x, begin, extents); };
  };
  expect_error<ArgumentError>(cut(behind, {2, 2, 4}), {"[crop]", "[2, 2, 4]", "[2, 3, 4]"});
  expect_error<ArgumentError>(cut(before, {2, 2, 4}), {"[crop]"});
  expect_error<ArgumentError>(cut(origin, {2, 3, 5}), {"[crop]"});
  expect_error<ArgumentError>(cut(flat, {2, 3}), {"[crop]"});
  expect_error<ArgumentError>([&] { ops::narrow(context, x, 1, 2, 2); }, {"[narrow]", "[2, 3, 4]"});
  expect_error<ArgumentError>([&] { ops::narrow(context, x, 3, 0, 1); }, {"[narrow]", "axis 3"});
  expect_error<ArgumentError>([&] { ops::chunk(context, x, 2, 1); }, {"[chunk]", "2 parts"});
  expect_error<ArgumentError>([&] { ops::chunk(context, x, 0, 1); }, {"[chunk]"});
  expect_error<ArgumentError>([&] { ops::concat<float>(context, {}, 0); }, {"[concat]"});
  expect_error<ArgumentError>(
      [&] {
        ops::concat<float>(context, std::array{x, x.slice(0, 1)}, 1);
      },
      {"[concat]", "[1, 3, 4]"});
  expect_error<ArgumentError>([&] { ops::concat<float>(context, std::array{x, x[0]}, 0); }, {"[3, 4]"});
  expect_error<ArgumentError>([&] { ops::concat<float>(context, std::array{x, x}, -4); }, {"axis -4"});
}

TEST_CASE("patches hold their pixels in the order asked for, and go back", "[ops][rearrange]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const auto context = context_for("native");
  for (int round = 0; round < 20; ++round) {
    const Index batch = draw(1, 3), height = draw(1, 5), width = draw(1, 5), patch = draw(1, 4);
    const Index channels = draw(1, 5);
    const auto x = random_tensor({batch, height * patch, width * patch, channels}, draw.seed);
    for (const auto order :
         {ops::PatchOrder::rows_columns_channels, ops::PatchOrder::channels_rows_columns}) {
      const auto expected = made({batch, height * width, patch * patch * channels}, [&](const Extents& i) {
        const bool pixels = order == ops::PatchOrder::rows_columns_channels;
        const Index pixel = pixels ? i[2] / channels : i[2] % (patch * patch);
        const Index channel = pixels ? i[2] % channels : i[2] / (patch * patch);
        return at(
            x, {i[0], i[1] / width * patch + pixel / patch, i[1] % width * patch + pixel % patch, channel});
      });
      const auto tokens = ops::patchify(context, x, patch, order);
      CHECK(same(tokens, expected));
      CHECK(same(ops::unpatchify(context, tokens, height, width, patch, order), x));
    }
  }
  const auto x = random_tensor({1, 4, 6, 2}, 1);
  expect_error<ArgumentError>([&] { ops::patchify(context, x, 3); }, {"[patchify]", "[1, 4, 6, 2]"});
  expect_error<ArgumentError>([&] { ops::patchify(context, x, 0); }, {"[patchify]"});
  expect_error<ArgumentError>([&] { ops::patchify(context, x[0], 2); }, {"[patchify]"});
  const auto tokens = ops::patchify(context, x, 2);
  expect_error<ArgumentError>([&] { ops::unpatchify(context, tokens, 2, 2, 2); }, {"[unpatchify]", "2 x 2"});
  expect_error<ArgumentError>([&] { ops::unpatchify(context, tokens, 2, 3, 3); }, {"[unpatchify]"});
}

TEST_CASE("a tile fades in from its neighbour", "[ops][rearrange]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const auto context = context_for("native");
  for (int round = 0; round < 50; ++round) {
    auto extents = draw.shape();
    const auto axis = static_cast<std::size_t>(draw(0, static_cast<Index>(extents.size()) - 1));
    const auto tile = random_tensor(shape_of(extents), draw.seed);
    const Index own = extents[axis], theirs = draw(1, 6), asked = draw(0, 8);
    const Index extent = std::min({own, theirs, asked});
    extents[axis] = theirs;
    const auto neighbour = random_tensor(shape_of(extents), draw.seed + 1);
    extents[axis] = own;
    const auto expected = made(extents, [&](Extents index) {
      const float kept = at(tile, index);
      const Index i = index[axis];
      if (i >= extent) return kept;
      index[axis] = theirs - extent + i;
      const float weight = static_cast<float>(i) / static_cast<float>(extent);
      return at(neighbour, index) * (1.0f - weight) + kept * weight;
    });
    const auto before = tile.clone();
    CHECK(same(ops::blend(context, neighbour, tile, static_cast<int>(axis), asked), expected));
    CHECK(same(tile, before));  // it was not given away
    auto given = tile.clone();
    const float* const place = given.data();
    const auto blended = ops::blend(context, neighbour, std::move(given), static_cast<int>(axis), asked);
    CHECK(same(blended, expected));
    CHECK(blended.data() == place);
  }
  const auto x = random_tensor({2, 3, 4}, 1);
  expect_error<ArgumentError>([&] { ops::blend(context, x, x.slice(0, 1), 1, 1); }, {"[blend]"});
  expect_error<ArgumentError>([&] { ops::blend(context, x, x, 1, -1); }, {"[blend]", "-1"});
  expect_error<ArgumentError>([&] { ops::blend(context, x[0], x, 1, 1); }, {"[blend]"});
}

TEST_CASE("depth becomes places in time and space, and the other way", "[ops]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const ops::Context context;
  for (const auto order :
       {ops::DepthOrder::channels_frames_rows_columns, ops::DepthOrder::channels_frames_columns_rows,
        ops::DepthOrder::frames_rows_columns_channels}) {
    const ops::SpaceTimeBlock block{draw(1, 3), draw(1, 3), draw(1, 3)};
    const Index channels = draw(1, 4);
    const auto x = random_tensor({2, draw(1, 3), draw(1, 3), draw(1, 3), channels * block.size()}, draw.seed);
    const auto depth = [&](const Extents& to) {
      const Index t = to[1] % block.frames, h = to[2] % block.rows, w = to[3] % block.columns, c = to[4];
      if (order == ops::DepthOrder::frames_rows_columns_channels)
        return ((t * block.rows + h) * block.columns + w) * channels + c;
      if (order == ops::DepthOrder::channels_frames_rows_columns)
        return ((c * block.frames + t) * block.rows + h) * block.columns + w;
      return ((c * block.frames + t) * block.columns + w) * block.rows + h;
    };
    const auto expected = made(
        {2, x.dim(1) * block.frames, x.dim(2) * block.rows, x.dim(3) * block.columns, channels},
        [&](const Extents& to) {
          return at(x, {to[0], to[1] / block.frames, to[2] / block.rows, to[3] / block.columns, depth(to)});
        });
    CHECK(same(ops::depth_to_space_time(context, x, block, order), expected));
    CHECK(same(ops::space_time_to_depth(context, expected, block, order), x));
  }
  expect_error<ArgumentError>(
      [&] {
        ops::depth_to_space_time(context, Tensor<float>::zeros({1, 1, 1, 1, 3}), {.rows = 2},
                                 ops::DepthOrder::channels_frames_rows_columns);
      },
      {"1 x 2 x 1"});
  expect_error<ArgumentError>(
      [&] {
        ops::space_time_to_depth(context, Tensor<float>::zeros({1, 1, 3, 2, 3}), {.rows = 2},
                                 ops::DepthOrder::channels_frames_rows_columns);
      },
      {"[N, F, H, W, C]"});
}

TEST_CASE("channels are repeated until they fill a block", "[ops]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const ops::Context context;
  const ops::SpaceTimeBlock block{2, draw(1, 2), 3};
  const Index in = 2 * draw(1, 2), out = in * draw(1, 2), repeats = out * block.size() / in;
  const auto x = random_tensor({1, 2, 3, 2, in}, draw.seed);
  const auto expected = made({1, 4, 3 * block.rows, 6, out}, [&](const Extents& to) {
    const Index place = ((to[1] % 2) * block.rows + to[2] % block.rows) * 3 + to[3] % 3;
    return at(x, {0, to[1] / 2, to[2] / block.rows, to[3] / 3, (to[4] * block.size() + place) / repeats});
  });
  CHECK(same(ops::duplicate_to_space_time(context, x, block, out), expected));
  expect_error<ArgumentError>(
      [&] {
        ops::duplicate_to_space_time(context, Tensor<float>::zeros({1, 1, 1, 1, 5}), {.rows = 2}, 3);
      },
      {"for 3"});
}

TEST_CASE("the outermost pixels go on beyond the edges", "[ops]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const ops::Context context;
  const Index rows = draw(0, 3), columns = draw(0, 3);
  const auto x = random_tensor({2, draw(1, 2), draw(1, 4), draw(1, 4), draw(1, 3)}, draw.seed);
  const auto expected =
      made({2, x.dim(1), x.dim(2) + 2 * rows, x.dim(3) + 2 * columns, x.dim(4)}, [&](const Extents& to) {
        return at(x, {to[0], to[1], std::clamp<Index>(to[2] - rows, 0, x.dim(2) - 1),
                      std::clamp<Index>(to[3] - columns, 0, x.dim(3) - 1), to[4]});
      });
  CHECK(same(ops::repeat_edges(context, x, rows, columns), expected));
  expect_error<ArgumentError>([&] { ops::repeat_edges(context, Tensor<float>(), 1, 1); }, {"1 rows"});
}

TEST_CASE("a store of tokens grows with what is put behind those in use", "[ops]") {
  Draws draw;
  INFO("seed " << draw.seed);
  const ops::Context context;
  using View = ops::TokenView<float>;
  const Index batch = draw(1, 3), width = draw(1, 4), most = 300;
  const auto x = random_tensor({batch, most, width + 1}, draw.seed);
  Tensor<float> store;
  Index kept = 0, copied = 0;
  while (kept < most) {
    // Columns of a wider tensor, as of one product for queries, keys and values.
    const Index count = std::min(draw(1, 40), most - kept);
    const auto part = ops::narrow(context, x, 1, kept, count);
    const Index before = store.empty() ? 0 : store.dim(1);
    const float* const place = std::as_const(store).data();
    store = ops::append_tokens(context, std::move(store), kept, View::columns(part, 1, width), most);
    if (before >= kept + count)
      CHECK(std::as_const(store).data() == place);
    else
      copied += kept;
    kept += count;
    CHECK(store.dim(1) >= kept);
    CHECK(store.dim(1) <= most);
  }
  CHECK(copied <= 2 * most);
  CHECK(same(store, ops::narrow(context, x, 2, 1, width)));

  // Behind the first ones again; a copy keeps what it has.
  const auto copy = store;
  const auto other = random_tensor({batch, 2, width}, draw.seed + 1);
  store = ops::append_tokens(context, std::move(store), 5, View::all(other), most);
  CHECK(same(ops::narrow(context, store, 1, 5, 2), other));
  CHECK(same(ops::narrow(context, store, 1, 0, 5), ops::narrow(context, copy, 1, 0, 5)));
  CHECK(same(copy, ops::narrow(context, x, 2, 1, width)));

  expect_error<ArgumentError>([&] { ops::append_tokens(context, store, most - 1, View::all(other), most); },
                              {"[append_tokens]", "299 and 2 tokens", "300"});
  expect_error<ArgumentError>([&] { ops::append_tokens(context, store, 301, View::all(other), 400); },
                              {"behind 301"});
  expect_error<ArgumentError>(
      [&] {
        ops::append_tokens(context, store, 1, View::all(random_tensor({batch, 1, width + 1}, 1)), most);
      },
      {"[append_tokens]"});
  expect_error<ArgumentError>([&] { View::first(store, 301); }, {"301 tokens"});
}

TEST_CASE("rows are put in the places of others", "[ops]") {
  const ops::Context context;
  const auto x = random_tensor({2, 3, 4}, 1), rows = random_tensor({2, 4}, 2);
  const auto y = ops::put_rows(context, x, std::array<std::int32_t, 2>{4, 1}, rows);
  CHECK(same(y, made({2, 3, 4}, [&](const Extents& to) {
               const Index row = to[0] * 3 + to[1];
               return row == 4   ? at(rows, {0, to[2]})
                      : row == 1 ? at(rows, {1, to[2]})
                                 : at(x, {to[0], to[1], to[2]});
             })));
  expect_error<ArgumentError>(
      [&] {
        ops::put_rows(context, x, std::array<std::int32_t, 2>{4, 6}, rows);
      },
      {"[put_rows]", "no row 6"});
  expect_error<ArgumentError>([&] { ops::put_rows(context, x, std::array<std::int32_t, 1>{4}, rows); },
                              {"[put_rows]", "1 rows"});
}
