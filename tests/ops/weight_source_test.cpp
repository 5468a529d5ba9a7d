#include "daguerre/ops/weight_source.hpp"

#include <cstring>
#include <vector>

#include "daguerre/ops/embedding.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/golden.hpp"
#include "support/random_tensor.hpp"

using namespace daguerre;
using namespace daguerre::ops;
using namespace daguerre::test;

namespace {

/// The elements as a file may have them: `offset` bytes behind an aligned address.
template <class T>
WeightSource stored(const Tensor<T>& tensor, std::size_t offset = 0) {
  const auto bytes = std::as_bytes(tensor.span());
  const auto memory = std::make_shared<std::vector<std::byte>>(bytes.size() + offset);
  std::copy(bytes.begin(), bytes.end(), memory->begin() + static_cast<std::ptrdiff_t>(offset));
  return {.dtype = dtype_of<T>(),
          .shape = tensor.shape(),
          .bytes = std::span<const std::byte>(*memory).subspan(offset),
          .owner = memory};
}

template <class T>
Tensor<T> all(const Weight& weight) {
  Tensor<T> result(weight.shape());
  weight.read(0, weight.rows(), result.data());
  return result;
}

template <class T>
bool same(const Tensor<T>& a, const Tensor<T>& b) {
  return a.shape() == b.shape() && std::memcmp(a.data(), b.data(), a.span().size_bytes()) == 0;
}

/// Rows of 8-bit numbers with a scale of their own in front.
class ScaledRows final : public RowDecoder {
 public:
  void decode(const WeightSource& source, Index begin, Index end, float* out) const override {
    const Index size = source.shape.tail().size();
    for (Index row = begin; row < end; ++row) {
      const std::byte* from = source.bytes.data() + row * (size + 4);
      float scale = 0.0f;
      std::memcpy(&scale, from, 4);
      for (Index i = 0; i < size; ++i)
        *out++ = scale * static_cast<float>(static_cast<std::int8_t>(from[4 + i]));
    }
  }
};

WeightSource scaled_rows() {
  const auto bytes = std::make_shared<std::vector<std::byte>>();
  for (const float scale : {0.5f, -0.25f, 3.0f}) {
    const auto* const raw = reinterpret_cast<const std::byte*>(&scale);
    bytes->insert(bytes->end(), raw, raw + 4);
    for (const int value : {1, -2, 100, -128}) bytes->push_back(static_cast<std::byte>(value));
  }
  return {.dtype = DType::u8,
          .shape = {3, 4},
          .bytes = *bytes,
          .owner = bytes,
          .decoder = std::make_shared<const ScaledRows>()};
}

template <class From>
void check_conversions() {
  const auto values = random_tensor({7, 1030}, 5).template to<From>();
  for (const std::size_t offset : {0u, 1u, 2u}) {
    INFO("offset " << offset);
    const Weight weight(stored(values, offset));
    CHECK(same(all<float>(weight), values.template to<float>()));
    CHECK(same(all<bfloat16>(weight), values.template to<float>().template to<bfloat16>()));
    Tensor<float> some({2, 1030});
    weight.read(3, 5, some.data());
    CHECK(same(some, values.template to<float>().slice(3, 5)));
  }
}

}  // namespace

TEST_CASE("rows of a weight are read from every type that files have", "[ops][weight]") {
  check_conversions<float>();
  check_conversions<half>();
  check_conversions<bfloat16>();
  check_conversions<double>();
  const std::vector<std::byte> integers{std::byte{3}, std::byte{0xFF}, std::byte{0}, std::byte{0x80}};
  const auto of = [&](DType dtype) {
    return all<float>(WeightSource{.dtype = dtype, .shape = {2, 2}, .bytes = integers});
  };
  CHECK(same(of(DType::i8), Tensor<float>::copy_of({2, 2}, std::vector{3.0f, -1.0f, 0.0f, -128.0f})));
  CHECK(same(of(DType::boolean), Tensor<float>::copy_of({2, 2}, std::vector{1.0f, 1.0f, 0.0f, 1.0f})));
}

TEST_CASE("elements are borrowed where they are stored as they are needed", "[ops][weight]") {
  const auto values = random_tensor({4, 6}, 1);
  CHECK(Weight(values).elements<float>() == values.data());
  CHECK(Weight(values).elements<bfloat16>() == nullptr);
  CHECK(Weight(stored(values.to<bfloat16>())).elements<bfloat16>() != nullptr);
  CHECK(Weight(stored(values.to<bfloat16>())).elements<float>() == nullptr);
  CHECK(Weight(stored(values, 2)).elements<float>() == nullptr);  // not aligned
  CHECK(Weight({WeightSource::of(values), WeightSource::of(values)}).elements<float>() == nullptr);
}

TEST_CASE("sources lie one behind the other", "[ops][weight]") {
  const auto a = random_tensor({3, 5}, 1), b = random_tensor({2, 5}, 2), c = random_tensor({4, 5}, 3);
  const Weight joined({stored(a), stored(b.to<half>()), stored(c.to<bfloat16>())});
  CHECK(joined.shape() == Shape{9, 5});
  const auto expected =
      concat_leading<float>(std::vector{a, b.to<half>().to<float>(), c.to<bfloat16>().to<float>()});
  CHECK(same(all<float>(joined), expected));
  for (Index begin = 0; begin <= 9; ++begin)
    for (Index end = begin; end <= 9; ++end) {
      Tensor<float> rows({end - begin, 5});
      joined.read(begin, end, rows.data());
      CHECK(same(rows, expected.slice(begin, end)));
    }
}

TEST_CASE("a decoder gives rows that are not stored number by number", "[ops][weight]") {
  const Weight weight(scaled_rows());
  const auto expected = Tensor<float>::copy_of(
      {3, 4},
      std::vector{0.5f, -1.0f, 50.0f, -64.0f, -0.25f, 0.5f, -25.0f, 32.0f, 3.0f, -6.0f, 300.0f, -384.0f});
  CHECK(same(all<float>(weight), expected));
  CHECK(same(all<bfloat16>(weight), expected.to<bfloat16>()));
  CHECK(weight.elements<float>() == nullptr);
  // Every engine multiplies with it.
  const auto x = random_tensor({5, 4}, 3);
  for (const auto& engine : engine_names())
    for (const auto placement : {WeightPlacement::packed, WeightPlacement::mapped}) {
      auto context = context_for(engine);
      const auto plain = (*context.engine->as<float>().pack_linear(context, expected, {}))(context, x);
      context.placement = placement;
      CHECK(same((*context.engine->as<float>().pack_linear(context, weight, {}))(context, x), plain));
    }
}

TEST_CASE("weights that cannot be read are refused", "[ops][weight]") {
  const std::vector<std::byte> bytes(24);
  const auto source = [&](DType dtype, const Shape& shape) {
    return WeightSource{.dtype = dtype, .shape = shape, .bytes = bytes};
  };
  CHECK_NOTHROW(Weight(source(DType::f32, {2, 3})));
  expect_error<ArgumentError>(
      [&] {
        Weight(source(DType::f32, {2, 4}));
      },
      {"[weight]", "24 bytes", "[2, 4]", "32"});
  expect_error<ArgumentError>([&] { Weight(source(DType::f16, {2, 3})); }, {"[weight]", "F16", "12"});
  expect_error<ArgumentError>([&] { Weight(source(DType::q8_0, {4, 6})); }, {"[weight]", "Q8_0", "decoder"});
  expect_error<ArgumentError>([&] { Weight(source(DType::f64, {})); }, {"[weight]", "single number"});
  expect_error<ArgumentError>([] { Weight(std::vector<WeightSource>{}); }, {"[weight]", "no source"});
  const auto joined = [&] { Weight(std::vector{source(DType::f32, {2, 3}), source(DType::f32, {3, 2})}); };
  expect_error<ArgumentError>(joined, {"[weight]", "[2, 3]", "[3, 2]"});
  const Weight weight(source(DType::f32, {2, 3}));
  std::vector<float> out(6);
  expect_error<ArgumentError>([&] { weight.read(1, 3, out.data()); }, {"[weight]", "[1, 3)", "[2, 3]"});
  expect_error<ArgumentError>([&] { weight.read(-1, 1, out.data()); }, {"[weight]", "[-1, 1)"});
}

namespace {

int releases = 0;
void count_release(std::span<const std::byte>) noexcept {
  ++releases;
}

struct LinearCase {
  Index rows, in, out;
};
struct ConvCase {
  Index batch, side, in, out;
  int kernel, stride;
};

/// Q8_0 blocks of any numbers, of which `lead` come before the weight's.
WeightSource blocks(const Shape& shape, Index lead) {
  const auto count = static_cast<std::size_t>((lead + shape.size() + 31) / 32);
  const auto bytes = std::make_shared<std::vector<std::byte>>(34 * count);
  for (std::size_t i = 0; i < count; ++i) {
    std::byte* const block = bytes->data() + 34 * i;
    block[1] = static_cast<std::byte>(0x20 + i % 3);  // scales of 2^-7 and more
    for (std::size_t j = 0; j < 32; ++j) block[2 + j] = static_cast<std::byte>(37 * i + 11 * j * j);
  }
  return block_source(DType::q8_0, shape, *bytes, bytes, lead);
}

/// `weight` as several types, and as sources that lie one behind the other.
std::vector<Weight> forms_of(const Tensor<float>& weight) {
  const Index half_rows = weight.dim(0) / 2;
  std::vector<Weight> forms{weight, stored(weight, 1), stored(weight.to<half>()),
                            stored(weight.to<bfloat16>()), stored(weight.to<bfloat16>(), 3)};
  if (half_rows > 0)
    forms.push_back(Weight({stored(weight.slice(0, half_rows).to<half>()),
                            stored(weight.slice(half_rows, weight.dim(0)).to<half>())}));
  for (const Index lead : {0, 5}) forms.push_back(blocks(weight.shape(), lead));
  return forms;
}

template <class T>
void check_placements(const std::string& engine) {
  auto packed = context_for(engine), mapped = packed;
  mapped.placement = WeightPlacement::mapped;
  unsigned seed = 1;
  // The larger ones are divided when they are written, in blocks that are whole and in such that are not;
  // what is unpacked in the cache, by columns and by rows.
  for (const auto& c : {LinearCase{1, 1, 1},
                        {5, 17, 33},
                        {2, 320, 1280},
                        {200, 96, 2600},
                        {65, 1100, 640},
                        {1, 512, 700},
                        {1100, 64, 700},
                        {40, 1100, 2000},
                        {40, 1100, 2112}}) {
    INFO(engine << " rows " << c.rows << " in " << c.in << " out " << c.out);
    const auto x = random_tensor({c.rows, c.in}, seed++).template to<T>();
    const auto bias = random_tensor({c.out}, seed++), residual = random_tensor({c.rows, c.out}, seed++);
    for (const auto& weight : forms_of(random_tensor({c.out, c.in}, seed++))) {
      const auto a = packed.engine->as<T>().pack_linear(packed, weight, bias, Activation::silu);
      const auto b = mapped.engine->as<T>().pack_linear(mapped, weight, bias, Activation::silu);
      CHECK(same((*a)(packed, x), (*b)(packed, x)));
      CHECK(same(a->accumulate(packed, x, &residual), b->accumulate(packed, x, &residual)));
    }
  }
  for (const auto& c :
       {ConvCase{1, 5, 4, 8, 3, 1}, {2, 9, 32, 40, 3, 2}, {2, 8, 96, 320, 3, 1}, {1, 16, 960, 320, 1, 1}}) {
    INFO(engine << " side " << c.side << " in " << c.in << " out " << c.out);
    const auto x = random_tensor({c.batch, c.side, c.side, c.in}, seed++).template to<T>();
    const auto bias = random_tensor({c.out}, seed++);
    const auto geometry = ConvGeometry::same(c.kernel / 2, c.stride);
    for (const auto& weight : forms_of(random_tensor({c.out, c.in, c.kernel, c.kernel}, seed++))) {
      const auto a = packed.engine->as<T>().pack_conv2d(packed, weight, bias, geometry);
      const auto b = mapped.engine->as<T>().pack_conv2d(mapped, weight, bias, geometry);
      CHECK(same((*a)(packed, x), (*b)(packed, x)));
      CHECK(same(a->rounded(packed, x), b->rounded(packed, x)));
    }
  }
}

}  // namespace

TEST_CASE("mapped weights give what packed ones give, bit for bit", "[ops][weight][engine]") {
  for (const auto& engine : engine_names()) {
    check_placements<float>(engine);
    check_placements<bfloat16>(engine);
  }
}

TEST_CASE("sources are released behind what is packed, and behind each product of what is mapped",
          "[ops][weight][engine]") {
  for (const auto& engine : engine_names()) {
    auto context = context_for(engine);
    const auto values = random_tensor({6, 4, 1, 1}, 3);
    const auto x = random_tensor({1, 2, 2, 4}, 4);
    auto source = stored(values);
    source.release = &count_release;
    const std::weak_ptr<const void> owner = source.owner;

    releases = 0;
    const auto packed = context.engine->as<float>().pack_conv2d(context, source, {}, ConvGeometry::same(0));
    CHECK(releases == 1);
    auto flat = source;
    flat.shape = {6, 4};
    const auto linear = context.engine->as<bfloat16>().pack_linear(context, flat, {});
    CHECK(releases == 2);

    context.placement = WeightPlacement::mapped;
    const auto mapped = context.engine->as<float>().pack_conv2d(context, source, {}, ConvGeometry::same(0));
    source = flat = {};
    CHECK_FALSE(owner.expired());
    CHECK(releases == 2);
    CHECK(same((*mapped)(context, x), (*packed)(context, x)));
    CHECK(releases == 3);  // behind the product, and read anew at the next
    CHECK(same((*mapped)(context, x), (*packed)(context, x)));
  }
}

TEST_CASE("rows of a mapped table are those of a packed one", "[ops][weight]") {
  auto context = context_for("native");
  const auto values = random_tensor({50, 12}, 8);
  const std::vector<std::int32_t> ids{3, 49, 0, 3}, bad{7, 50}, negative{-1};
  for (const auto placement : {WeightPlacement::packed, WeightPlacement::mapped}) {
    context.placement = placement;
    const EmbeddingTable<float> table(context, stored(values.to<half>()));
    CHECK(same(table(context, ids), embedding_lookup(values.to<half>().to<float>(), ids)));
    const EmbeddingTable<bfloat16> rounded(context, stored(values));
    CHECK(same(rounded(context, ids), embedding_lookup(values.to<bfloat16>(), ids)));
    expect_error<ArgumentError>([&] { table(context, bad); }, {"id 50", "50 rows"});
    expect_error<ArgumentError>([&] { table(context, negative); }, {"id -1"});
  }
  expect_error<ArgumentError>(
      [&] {
        EmbeddingTable<float>(context, random_tensor({2, 3, 4}, 1));
      },
      {"[2, 3, 4]", "[V, C]"});
}
