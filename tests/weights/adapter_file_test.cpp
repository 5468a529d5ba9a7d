#include "daguerre/weights/adapter_file.hpp"

#include <chrono>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "daguerre/core/error.hpp"
#include "daguerre/weights/adapt_checkpoint.hpp"
#include "daguerre/weights/convert.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"
#include "support/random_tensor.hpp"
#include "support/tiny_checkpoint.hpp"
#include "weights/quantise.hpp"

using namespace daguerre;
using test::random_tensor;
using weights::AdapterFile;
using weights::DoraRule;
using weights::StateDict;

namespace {

using Tensors = std::map<std::string, Tensor<float>>;

StateDict dict_of(const Tensors& tensors, const std::map<std::string, std::string>& metadata = {},
                  const std::string& name = "lora.safetensors") {
  weights::SafetensorsWriter writer;
  for (const auto& [key, tensor] : tensors) writer.add(key, tensor);
  for (const auto& [key, value] : metadata) writer.set_metadata(key, value);
  auto bytes = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
  return StateDict({weights::SafetensorsFile::from_memory(bytes, name)});
}

const Shape matrix{6, 4}, kernel{4, 6, 3, 3};

/// A matrix, a convolution, their biases and a norm.
StateDict network() {
  return dict_of({{"mid.to_q.weight", random_tensor(matrix, 1)},
                  {"mid.to_q.bias", random_tensor({6}, 2)},
                  {"mid.conv.weight", random_tensor(kernel, 3)},
                  {"mid.conv.bias", random_tensor({4}, 4)},
                  {"mid.norm.weight", random_tensor({4}, 5)}},
                 {}, "network");
}

Tensor<float> number(float value) {
  return Tensor<float>::full({}, value);
}

/// The changed tensor.
Tensor<float> changed(const Tensors& file, const std::string& tensor, float strength,
                      const weights::AdapterOptions& options = {},
                      const std::map<std::string, std::string>& metadata = {}) {
  const auto base = network();
  auto deltas = AdapterFile(dict_of(file, metadata), options).match(AdapterFile::denoiser, base).deltas;
  for (auto& [name, applied] : deltas)
    for (auto& delta : applied) delta.strength *= strength;
  return base.with_deltas(deltas).tensor(tensor, base.shape(tensor));
}

void check_close(const Tensor<float>& actual, const std::function<double(Index)>& expected) {
  double error = 0.0, size = 0.0;
  for (Index i = 0; i < actual.size(); ++i) {
    const double wanted = expected(i);
    error += (actual.data()[i] - wanted) * (actual.data()[i] - wanted);
    size += wanted * wanted;
  }
  CHECK(std::sqrt(error / size) < 1e-6);
}

/// up x down, by rows.
std::vector<double> multiplied(const Tensor<float>& up, const Tensor<float>& down, double scale = 1.0) {
  const Index rows = up.dim(0), rank = down.dim(0), columns = down.size() / rank;
  std::vector<double> result(static_cast<std::size_t>(rows * columns), 0.0);
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j)
      for (Index k = 0; k < rank; ++k)
        result[static_cast<std::size_t>(i * columns + j)] +=
            scale * up.data()[i * rank + k] * down.data()[k * columns + j];
  return result;
}

/// sum over p, q of out_factor(p, o) core[p, q, k] down[q, i], as [o, i, k].
std::vector<double> tucker(const std::function<double(Index, Index)>& out_factor, Index rows,
                           const Tensor<float>& core, const Tensor<float>& down) {
  const Index outer = core.dim(0), inner = core.dim(1), size = core.size() / (outer * inner),
              channels = down.size() / inner;
  std::vector<double> result(static_cast<std::size_t>(rows * channels * size), 0.0);
  for (Index o = 0; o < rows; ++o)
    for (Index i = 0; i < channels; ++i)
      for (Index k = 0; k < size; ++k)
        for (Index p = 0; p < outer; ++p)
          for (Index q = 0; q < inner; ++q)
            result[static_cast<std::size_t>((o * channels + i) * size + k)] +=
                out_factor(p, o) * core.data()[(p * inner + q) * size + k] * down.data()[q * channels + i];
  return result;
}

const Tensors plain_lora{{"unet.mid.to_q.lora_A.weight", random_tensor({2, 4}, 10)},
                         {"unet.mid.to_q.lora_B.weight", random_tensor({6, 2}, 11)}};

void check_added(const Tensors& file, const std::string& tensor, const std::vector<double>& difference) {
  const auto base = network().tensor(tensor, network().shape(tensor));
  for (const float strength : {1.0f, 0.7f, -0.4f})
    check_close(changed(file, tensor, strength), [&](Index i) {
      return base.data()[i] + static_cast<double>(strength) * difference[static_cast<std::size_t>(i)];
    });
}

}  // namespace

TEST_CASE("factors of each kind change a weight as their formulas say", "[weights][adapter]") {
  const auto up = random_tensor({6, 2}, 11), down = random_tensor({2, 4}, 10);
  const std::string to_q = "mid.to_q.weight", conv = "mid.conv.weight";
  SECTION("LoRA: alpha over rank, or one") {
    check_added(plain_lora, to_q, multiplied(up, down));
    check_added({{"lora_unet_mid_to_q.lora_down.weight", down},
                 {"lora_unet_mid_to_q.lora_up.weight", up},
                 {"lora_unet_mid_to_q.alpha", number(3)}},
                to_q, multiplied(up, down, 1.5));
  }
  SECTION("LoCon, and its middle factor") {
    const auto wide = random_tensor({2, 6, 3, 3}, 12), tall = random_tensor({4, 2, 1, 1}, 13);
    check_added({{"lora_unet_mid_conv.lora_down.weight", wide}, {"lora_unet_mid_conv.lora_up.weight", tall}},
                conv, multiplied(tall, wide));
    const auto inner = random_tensor({3, 6, 1, 1}, 14), core = random_tensor({2, 3, 3, 3}, 15);
    auto difference = tucker([&](Index p, Index o) { return tall.data()[o * 2 + p]; }, 4, core, inner);
    for (double& value : difference) value *= 2.0 / 3.0;
    check_added({{"lora_unet_mid_conv.lora_down.weight", inner},
                 {"lora_unet_mid_conv.lora_mid.weight", core},
                 {"lora_unet_mid_conv.lora_up.weight", tall},
                 {"lora_unet_mid_conv.alpha", number(2)}},
                conv, difference);
  }
  SECTION("LoHa, and its cores") {
    const auto a = random_tensor({6, 2}, 16), b = random_tensor({2, 4}, 17);
    auto difference = multiplied(up, down, 0.5);
    const auto other = multiplied(a, b);
    for (std::size_t i = 0; i < difference.size(); ++i) difference[i] *= other[i];
    check_added({{"unet.mid.to_q.hada_w1_a", up},
                 {"unet.mid.to_q.hada_w1_b", down},
                 {"unet.mid.to_q.hada_w2_a", a},
                 {"unet.mid.to_q.hada_w2_b", b},
                 {"unet.mid.to_q.alpha", number(1)}},
                to_q, difference);
    const auto first = random_tensor({2, 4}, 18), second = random_tensor({2, 4}, 19),
               in = random_tensor({2, 6}, 20), core = random_tensor({2, 2, 3, 3}, 21);
    difference = tucker([&](Index p, Index o) { return first.data()[p * 4 + o]; }, 4, core, in);
    const auto more = tucker([&](Index p, Index o) { return second.data()[p * 4 + o]; }, 4, core, in);
    for (std::size_t i = 0; i < difference.size(); ++i) difference[i] *= more[i];
    check_added({{"unet.mid.conv.hada_w1_a", first},
                 {"unet.mid.conv.hada_w1_b", in},
                 {"unet.mid.conv.hada_t1", core},
                 {"unet.mid.conv.hada_w2_a", second},
                 {"unet.mid.conv.hada_w2_b", in},
                 {"unet.mid.conv.hada_t2", core}},
                conv, difference);
  }
  SECTION("LoKr: whole factors ignore alpha, products scale once") {
    const auto left = random_tensor({2, 2}, 22), right = random_tensor({3, 2}, 23);
    const auto kronecker = [&](double scale, const std::function<double(Index, Index)>& of_left,
                               const std::function<double(Index, Index)>& of_right) {
      std::vector<double> result;
      for (Index i = 0; i < 6; ++i)
        for (Index j = 0; j < 4; ++j)
          result.push_back(scale * of_left(i / 3, j / 2) * of_right(i % 3, j % 2));
      return result;
    };
    const auto left_at = [&](Index i, Index j) { return left.data()[i * 2 + j]; };
    const auto right_at = [&](Index i, Index j) { return right.data()[i * 2 + j]; };
    const auto alpha = number(6);
    const std::string name = "unet.mid.to_q.";
    check_added({{name + "lokr_w1", left}, {name + "lokr_w2", right}, {name + "alpha", alpha}}, to_q,
                kronecker(1.0, left_at, right_at));
    const auto a = random_tensor({3, 4}, 24), b = random_tensor({4, 2}, 25), c = random_tensor({2, 3}, 26),
               d = random_tensor({3, 2}, 27);
    const auto right_product = multiplied(a, b), left_product = multiplied(c, d);
    const auto of_right = [&](Index i, Index j) {
      return right_product[static_cast<std::size_t>(i * 2 + j)];
    };
    const auto of_left = [&](Index i, Index j) { return left_product[static_cast<std::size_t>(i * 2 + j)]; };
    check_added(
        {{name + "lokr_w1", left}, {name + "lokr_w2_a", a}, {name + "lokr_w2_b", b}, {name + "alpha", alpha}},
        to_q, kronecker(6.0 / 4.0, left_at, of_right));
    check_added({{name + "lokr_w1_a", c},
                 {name + "lokr_w1_b", d},
                 {name + "lokr_w2", right},
                 {name + "alpha", alpha}},
                to_q, kronecker(6.0 / 3.0, of_left, right_at));
    check_added({{name + "lokr_w1_a", c},
                 {name + "lokr_w1_b", d},
                 {name + "lokr_w2_a", a},
                 {name + "lokr_w2_b", b},
                 {name + "alpha", alpha}},
                to_q, kronecker(6.0 / 4.0, of_left, of_right));
  }
  SECTION("differences, biases and norms") {
    const auto diff = random_tensor(matrix, 28), bias = random_tensor({6}, 29), norm = random_tensor({4}, 30);
    const Tensors file{{"lora_unet_mid_to_q.diff", diff},
                       {"lora_unet_mid_to_q.diff_b", bias},
                       {"lora_unet_mid_norm.w_norm", norm}};
    check_added(file, to_q, {diff.data(), diff.data() + diff.size()});
    check_added(file, "mid.to_q.bias", {bias.data(), bias.data() + bias.size()});
    check_added(file, "mid.norm.weight", {norm.data(), norm.data() + norm.size()});
  }
  SECTION("(IA)^3 along either axis, and whole norms") {
    const auto base = network().tensor(conv, kernel);
    for (const bool on_input : {false, true}) {
      const auto factors = random_tensor({on_input ? 6 : 4}, 31);
      check_close(changed({{"lora_unet_mid_conv.weight", factors},
                           {"lora_unet_mid_conv.on_input", number(on_input ? 1 : 0)}},
                          conv, 0.7f),
                  [&](Index i) {
                    const Index place = on_input ? i / 9 % 6 : i / 54;
                    return base.data()[i] * (1.0 + static_cast<double>(0.7f) * factors.data()[place]);
                  });
    }
    const auto norm = random_tensor({4}, 32);
    check_close(changed({{"transformer.mid.norm.weight", norm}}, "mid.norm.weight", 0.5f),
                [&](Index i) { return norm.data()[i]; });
  }
}

TEST_CASE("DoRA has three definitions on two axes", "[weights][adapter]") {
  const auto up = random_tensor({4, 2, 1, 1}, 40), down = random_tensor({2, 6, 3, 3}, 41);
  const auto difference = multiplied(up, down);
  const auto base = network().tensor("mid.conv.weight", kernel);
  for (const bool on_input : {false, true})
    for (const auto rule : {DoraRule::peft, DoraRule::lycoris, DoraRule::comfyui}) {
      auto magnitude = random_tensor(on_input ? Shape{1, 6, 1, 1} : Shape{4, 1, 1, 1}, 42);
      const Tensors file{{"lora_unet_mid_conv.lora_down.weight", down},
                         {"lora_unet_mid_conv.lora_up.weight", up},
                         {"lora_unet_mid_conv.dora_scale", magnitude}};
      if (on_input && rule == DoraRule::peft) {
        test::expect_error<WeightError>([&] { changed(file, "mid.conv.weight", 1, {.dora = rule}); },
                                        {"PEFT's rule knows no norms of input channels"});
        continue;
      }
      constexpr float strength = 0.7f;
      const auto group = [&](Index i) { return static_cast<std::size_t>(on_input ? i / 9 % 6 : i / 54); };
      const double in_norm = rule == DoraRule::peft                   ? strength
                             : rule == DoraRule::comfyui && !on_input ? 0.0
                                                                      : 1.0;
      std::vector<double> norms(6, 0.0);
      for (Index i = 0; i < base.size(); ++i)
        norms[group(i)] += std::pow(base.data()[i] + in_norm * difference[static_cast<std::size_t>(i)], 2);
      check_close(changed(file, "mid.conv.weight", strength, {.dora = rule}), [&](Index i) {
        const double w = base.data()[i], d = difference[static_cast<std::size_t>(i)], s = strength;
        const double ratio = magnitude.data()[group(i)] / std::sqrt(norms[group(i)]);
        if (rule == DoraRule::peft) return ratio * (w + s * d);
        if (rule == DoraRule::lycoris) return (w + d) * (1.0 + s * (ratio - 1.0));
        return w + s * (ratio * (w + d) - w);
      });
    }
}

TEST_CASE("deltas reach weights of every type, by rows, in parts and rearranged", "[weights][adapter]") {
  const auto lora = AdapterFile(dict_of({{"unet.a.lora_A.weight", random_tensor({3, 64}, 50)},
                                         {"unet.a.lora_B.weight", random_tensor({8, 3}, 51)}}));
  const auto values = random_tensor({8, 64}, 52);
  const auto plain = dict_of({{"a.weight", values}}, {}, "plain");
  const auto match = lora.match(AdapterFile::denoiser, plain);
  const auto& applied = match.deltas.at("a.weight");

  SECTION("sources of other types") {
    std::vector<std::byte> blocks(static_cast<std::size_t>(bytes_of(DType::q8_0, values.size())));
    weights::quantise(DType::q8_0, values.span(), blocks);
    const std::vector<ops::WeightSource> sources{
        ops::WeightSource::of(values.to<half>()), ops::WeightSource::of(values.to<bfloat16>()),
        ops::block_source(DType::q8_0, values.shape(), blocks, nullptr)};
    for (const auto& source : sources) {
      const ops::Weight stored(source), result(weights::with_deltas(source, applied, "a.weight"));
      Tensor<float> expected(values.shape()), actual(values.shape());
      stored.read(0, 8, expected.data());
      stored.read(0, 8, actual.data());
      applied.front().delta->apply(0, 8, 1.0f, expected.data());
      result.read(0, 8, actual.data());
      CHECK(std::equal(actual.span().begin(), actual.span().end(), expected.data()));
      // Any rows have the same bits.
      for (Index row = 0; row < 8; ++row) result.read(row, row + 1, actual.data() + row * 64);
      CHECK(std::equal(actual.span().begin(), actual.span().end(), expected.data()));
    }
  }
  SECTION("views of a changed tensor") {
    const auto whole = plain.with_deltas(match.deltas);
    const auto all = whole.tensor("a.weight", {8, 64});
    CHECK_FALSE(all.data()[0] == values.data()[0]);
    const auto views = whole.renamed({{.name = "rows", .source = "a.weight", .first_row = 3, .rows = 2},
                                      {.name = "shape", .source = "a.weight", .shape = Shape{16, 32}},
                                      {.name = "turned", .source = "a.weight", .transposed = true},
                                      {.name = "halves", .source = "a.weight", .halves_swapped = true}});
    const auto rows = views.tensor("rows", {2, 64}), shape = views.tensor("shape", {16, 32}),
               turned = views.tensor("turned", {64, 8}), halves = views.tensor("halves", {8, 64});
    CHECK(std::equal(rows.span().begin(), rows.span().end(), all.data() + 3 * 64));
    CHECK(std::equal(shape.span().begin(), shape.span().end(), all.data()));
    CHECK(turned.data()[8 * 5 + 2] == all.data()[2 * 64 + 5]);
    CHECK(halves.data()[0] == all.data()[4 * 64]);
    for (const auto& name : views.names()) CHECK(views.is_computed(name));
    CHECK_FALSE(plain.is_computed("a.weight"));
    // Written as float32, nothing is rounded to the file's own type on the way.
    weights::SafetensorsWriter writer;
    writer.add("a.weight", values.to<half>());
    const auto halved = std::make_shared<const std::vector<std::byte>>(writer.to_bytes());
    const auto changed_halves = StateDict({weights::SafetensorsFile::from_memory(halved, "halves")})
                                    .with_deltas(match.deltas)
                                    .renamed({{.name = "turned", .source = "a.weight", .transposed = true}});
    const test::TempFolder folder;
    weights::convert_file(changed_halves, folder / "turned.safetensors", {.type = weights::DType::f32});
    const auto written = StateDict::load(folder / "turned.safetensors").tensor("turned", {64, 8}),
               computed = changed_halves.tensor("turned", {64, 8});
    CHECK(std::equal(written.span().begin(), written.span().end(), computed.data()));
  }
  SECTION("low rank, twice, and nothing") {
    const auto product = applied.front().delta->low_rank();
    REQUIRE(product.has_value());
    const auto again = applied.front().delta->low_rank();
    CHECK(std::as_const(again->down).data() == std::as_const(product->down).data());
    Tensor<float> zero = Tensor<float>::full({8, 64}, 0.0f);
    applied.front().delta->apply(0, 8, 1.0f, zero.data());
    const auto expected = multiplied(product->up, product->down);
    check_close(zero, [&](Index i) { return expected[static_cast<std::size_t>(i)]; });
    auto twice = match.deltas;
    append(twice, match.deltas);
    twice.at("a.weight")[1].strength = -1;
    const auto back = plain.with_deltas(twice).tensor("a.weight", {8, 64});
    check_close(back, [&](Index i) { return values.data()[i]; });
    CHECK(plain.with_deltas({}).tensor("a.weight", {8, 64}).data()[7] == values.data()[7]);
  }
}

TEST_CASE("adapter files that do not fit are refused in one line", "[weights][adapter]") {
  const auto refused = [](Tensors file, std::initializer_list<std::string_view> parts,
                          const std::map<std::string, std::string>& metadata = {}) {
    test::expect_error<Error>([&] { changed(file, "mid.to_q.weight", 1, {}, metadata); }, parts);
  };
  const std::string name = "unet.mid.to_q.";
  auto file = plain_lora;
  const auto with = [&](const std::string& key, const Tensor<float>& value) {
    auto result = plain_lora;
    result[key] = value;
    return result;
  };
  refused(with("unet.up_blocks.9.x.lora_A.weight", random_tensor({2, 4}, 1)),
          {"1 of 3 keys for the denoiser have no place in network", "\"unet.up_blocks.9.x.lora_A.weight\"",
           "look like those for SD 1 or 2"});
  refused(with("transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight", random_tensor({2, 4}, 1)),
          {"look like those for FLUX"});
  refused(with("what.is.this", number(1)), {"1 of 3 keys are none of an adapter: \"what.is.this\""});
  refused({{"what.is.this", number(1)}}, {"no key is one of an adapter"});
  refused({{"unet.mid.to_q.weight", random_tensor(matrix, 1)}}, {"no key is one of an adapter"});
  refused({{name + "lora_A.weight", random_tensor({2, 4}, 1)}}, {"it has no lora_up"});
  refused({{name + "lora_B.weight", random_tensor({6, 2}, 1)}}, {"it has no lora_down"});
  refused(with(name + "lora_A.weight", random_tensor({3, 4}, 1)), {"whose ranks differ"});
  refused(with(name + "lora_A.weight", random_tensor({2, 5}, 1)), {"6 rows of 5, expected 6 of 4"});
  refused(with(name + "lora_A.weight", random_tensor({0, 4}, 1)), {"a rank of 0"});
  refused(with(name + "alpha", random_tensor({3}, 1)), {"has shape [3], expected one number"});
  refused(with(name + "alpha", number(std::numeric_limits<float>::quiet_NaN())),
          {"alpha\" holds a number that"});
  auto infinite = random_tensor({2, 4}, 1);
  infinite.data()[3] = std::numeric_limits<float>::infinity();
  refused(with(name + "lora_A.weight", infinite), {"lora_A.weight\" holds a number that is not finite"});
  refused(with("lora_unet_mid_to_q.lora_down.weight", random_tensor({2, 4}, 1)), {"say the same twice"});
  refused(with(name + "diff", random_tensor(matrix, 1)), {"factors of more than one kind"});
  refused(with(name + "dora_scale", random_tensor({5, 1}, 1)), {"norms of shape [5, 1]"});
  refused(with(name + "lora_B.bias", random_tensor({5}, 1)), {"a bias of shape [5], expected [6]"});
  refused({{name + "lokr_w1", random_tensor({5, 2}, 1)}, {name + "lokr_w2", random_tensor({2, 2}, 1)}},
          {"which does not divide 6 of 4"});
  refused({{name + "lokr_w2", random_tensor({2, 2}, 1)}}, {"it has no lokr_w1_a"});
  refused(plain_lora, {"rank of 2, the file's metadata say 8"},
          {{"lora_adapter_metadata", R"({"unet.r": 8, "unet.lora_alpha": 4})"}});
  refused(plain_lora, {"lora_adapter_metadata is not a JSON object"}, {{"lora_adapter_metadata", "[1"}});
  refused(plain_lora, {"\"unet.lora_alpha\" is no number"},
          {{"lora_adapter_metadata", R"({"unet.r": 2, "unet.lora_alpha": "x"})"}});
  refused(plain_lora, {"\"unet.lora_alpha\" is too large"},
          {{"lora_adapter_metadata", R"({"unet.r": 2, "unet.lora_alpha": 1e300})"}});
  auto huge = with(name + "alpha", number(3e38f));
  huge[name + "scalar"] = number(3e38f);
  refused(huge, {"alpha and scalar together are too large"});

  const AdapterFile partial(dict_of(with("unet.up_blocks.9.x.lora_A.weight", random_tensor({2, 4}, 1))),
                            {.partial = true});
  const auto match = partial.match(AdapterFile::denoiser, network());
  CHECK(match.matched == 1);
  CHECK(match.unmatched == std::vector<std::string>{"unet.up_blocks.9.x.lora_A.weight"});
  CHECK(partial.parts() == std::vector<std::string>{"denoiser"});
}

TEST_CASE("an adapter of 100000 keys is refused quickly", "[weights][adapter]") {
  std::string header = "{";
  for (int i = 0; i < 100000; ++i)
    header += (i == 0 ? "\"lora_unet_x_" : ",\"lora_unet_x_") + std::to_string(i) +
              R"(.alpha":{"dtype":"F32","shape":[],"data_offsets":[)" + std::to_string(4 * i) + "," +
              std::to_string(4 * i + 4) + "]}";
  const auto text = test::safetensors_text(header + "}", std::string(400000, '\0'));
  const auto begin = std::chrono::steady_clock::now();
  test::expect_error<WeightError>(
      [&] {
        AdapterFile(StateDict({weights::SafetensorsFile::from_memory(test::as_buffer(text), "many")}))
            .match(AdapterFile::denoiser, network());
      },
      {"100000 of 100000 keys for the denoiser have no place"});
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));  // quadratic: minutes
}

TEST_CASE("block weights follow the web UI's order", "[weights][adapter]") {
  const auto model = test::TinyCheckpoint("sd1").unet().weights();
  const auto unet = weights::open_checkpoint(model);
  const auto& network = unet.find("unet")->weights;
  Tensors file;
  const auto add = [&](const std::string& module) {
    const Shape shape = network.shape(module + ".weight");
    file["unet." + module + ".diff"] = random_tensor(shape, 1);
  };
  const std::string down = "down_blocks.0.attentions.0.proj_in", mid = "mid_block.attentions.0.proj_in",
                    up = "up_blocks.1.attentions.0.proj_in", first = "conv_in", last = "conv_out";
  for (const auto& module : {down, mid, up, first, last}) add(module);
  std::vector<float> values;
  for (int i = 0; i < 17; ++i) values.push_back(static_cast<float>(i) + 0.5f);
  const auto strengths = [&](const std::vector<float>& given) {
    return AdapterFile(dict_of(file), {.block_weights = given}).match(AdapterFile::denoiser, network).deltas;
  };
  const auto deltas = strengths(values);
  CHECK(deltas.at(down + ".weight").front().strength == 1.5f);  // IN01
  CHECK(deltas.at(mid + ".weight").front().strength == 7.5f);   // M00
  CHECK(deltas.at(up + ".weight").front().strength == 8.5f);    // OUT03
  CHECK(deltas.at(last + ".weight").front().strength == 0.5f);  // BASE
  CHECK_FALSE(deltas.contains(first + ".weight"));              // IN00 is not among the 17
  values.resize(26, 20.5f);
  CHECK(strengths(values).at(first + ".weight").front().strength == 1.5f);
  test::expect_error<ArgumentError>(
      [&] {
        strengths({1, 2});
      },
      {"2 block weights, expected 12, 17, 20 or 26"});
}

TEST_CASE("baking an adapter in gives what loading it gives", "[weights][adapter][convert]") {
  const test::TempFolder folder;
  for (const std::string family : {"sd1", "flux-dev"}) {
    const auto source = folder.write(family + ".safetensors", test::TinyCheckpoint(family).whole().bytes());
    const auto model = weights::open_checkpoint(source);
    const bool is_unet = model.find("unet") != nullptr;
    const auto& network = model.find(is_unet ? "unet" : "transformer")->weights;
    // The original layout's fused matrix, and a text encoder.
    const std::string module = is_unet ? "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q"
                                       : "lora_unet_double_blocks_0_img_attn_qkv";
    const auto tensor = is_unet ? "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q.weight"
                                : "transformer_blocks.0.attn.to_k.weight";
    const Shape shape = network.shape(tensor);
    const std::string text = "text_model.encoder.layers.0.self_attn.q_proj";
    const Index width = model.find("text_encoder")->weights.shape(text + ".weight")[0];
    const Index rows = is_unet ? shape[0] : 3 * shape[0];
    const AdapterFile lora(
        dict_of({{module + ".lora_down.weight", random_tensor({4, shape[1]}, 60)},
                 {module + ".lora_up.weight", random_tensor({rows, 4}, 61)},
                 {"text_encoder." + text + ".lora_A.weight", random_tensor({2, width}, 62)},
                 {"text_encoder." + text + ".lora_B.weight", random_tensor({width, 2}, 63)}}));
    const std::vector<weights::AdapterUse> uses{{lora, 0.8f, 0.5f}, {lora, -0.1f, 0.25f}};
    const auto adapted = weights::with_adapters(model, uses);
    for (const auto& target : {family + "_folder", family + "_baked.safetensors"}) {
      weights::convert_checkpoint(adapted, folder / target, {.type = weights::DType::f32});
      const auto baked = weights::open_checkpoint(folder / target);
      for (const auto& part : adapted.parts) {
        const auto* written = baked.find(part.name);
        REQUIRE(written != nullptr);
        for (const auto& name : part.weights.names()) {
          const Shape own = part.weights.shape(name);
          const auto expected = part.weights.tensor(name, own), actual = written->weights.tensor(name, own);
          INFO(target << " " << part.name << " " << name);
          CHECK(std::equal(actual.span().begin(), actual.span().end(), expected.data()));
        }
      }
      const auto plain = network.tensor(tensor, shape),
                 changed = baked.find(is_unet ? "unet" : "transformer")->weights.tensor(tensor, shape);
      CHECK_FALSE(std::equal(plain.span().begin(), plain.span().end(), changed.data()));
    }
  }
  const auto vae = weights::open_checkpoint(test::TinyCheckpoint("sd1").unet().weights());
  const AdapterFile text(dict_of({{"text_encoder_2.x.lora_A.weight", random_tensor({1, 1}, 1)}}));
  test::expect_error<WeightError>(
      [&] { weights::with_adapters(vae, std::vector<weights::AdapterUse>{{text}}); },
      {"it changes the text_encoder_2, which"});
}
