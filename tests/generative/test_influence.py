"""Dot products of gradients, against one backward pass an example."""

import numpy as np
import pytest
import torch

import softunlearn as su
from generative.cases import LENGTH, WORDS, language_model, texts, with_adapters
from softunlearn import generative
from softunlearn.exceptions import InputError, ModelError
from softunlearn.generative import GroupLossGap, Sketch, dot_products, next_token_loss

N = 30


@pytest.fixture(scope="module")
def model():
    return language_model().eval()


@pytest.fixture(scope="module")
def train():
    return texts(N)


@pytest.fixture(scope="module")
def gap():
    return GroupLossGap(texts(12, seed=1), np.arange(12) % 2, batch_size=5)


def gradients_of(model, rows, names=None):
    """Every example's gradient, by back-propagation of its loss alone."""
    chosen = [p for name, p in model.named_parameters() if names is None or name in names]
    found = []
    for i in range(len(rows)):
        grads = torch.autograd.grad(next_token_loss(model, rows[i : i + 1])[0], chosen)
        found.append(torch.cat([g.reshape(-1) for g in grads]))
    return torch.stack(found).double().numpy()


def gradient_of(model, scalar, names=None):
    chosen = [p for name, p in model.named_parameters() if names is None or name in names]
    return torch.cat([g.reshape(-1) for g in torch.autograd.grad(scalar, chosen)]).double().numpy()


def plain_gap(model, gap):
    """The gap without batches: the two groups' mean losses."""
    losses = next_token_loss(model, gap.rows)
    return (losses[0::2].mean() - losses[1::2].mean()).abs()


def test_dot_products_are_those_of_one_backward_pass_an_example(model, train, gap):
    v = gradient_of(model, plain_gap(model, gap))
    expected = gradients_of(model, train) @ v
    found = dot_products(model, train, gap, batch_size=7)
    # both are float32 sums, in another order
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())
    both = dot_products(model, train, [gap, lambda m: 2 * gap(m)])
    np.testing.assert_allclose(both, np.stack([found, 2 * found], axis=1), rtol=1e-4, atol=1e-6)


def test_chosen_parameters_alone_count(model, train, gap):
    names = [name for name, _ in model.named_parameters() if ".mlp." in name]
    v = gradient_of(model, plain_gap(model, gap), names)
    expected = gradients_of(model, train, names) @ v
    found = dot_products(model, train, gap, parameters=["*.mlp.*"])
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


def test_projected_influence_correlates_with_the_exact_one(model, train, gap):
    exact = dot_products(model, train, gap)
    found = dot_products(model, train, gap, sketch=Sketch(dimension=1024))
    assert np.corrcoef(found, exact)[0, 1] > 0.9
    # the error of an inner product has a deviation of at most sqrt(2 / k) |g| |v|
    v = gradient_of(model, plain_gap(model, gap))
    scale = np.linalg.norm(gradients_of(model, train), axis=1) * np.linalg.norm(v)
    assert np.sqrt(np.mean(((found - exact) / scale) ** 2)) < 1.5 * np.sqrt(2 / 1024)


def test_projected_gradients_are_computed_once(model, train, gap, tmp_path):
    passes = []

    def loss(module, batch):
        passes.append(len(batch))
        return next_token_loss(module, batch)

    sketch = Sketch(dimension=64, cache=su.ArrayCache(tmp_path))
    first = dot_products(model, train, gap, loss=loss, sketch=sketch)
    done = len(passes)
    again = dot_products(model, train, gap, loss=loss, sketch=sketch)
    np.testing.assert_array_equal(first, again)
    assert done > 0
    assert len(passes) == done
    dot_products(language_model(seed=1).eval(), train, gap, loss=loss, sketch=sketch)
    assert len(passes) > done


def test_adapters_are_taken_where_the_rest_is_frozen(train, gap):
    adapted = with_adapters(language_model()).eval()
    with torch.no_grad():
        adapted.lm_head.up.normal_()
    names = ["lm_head.down", "lm_head.up"]
    v = gradient_of(adapted, plain_gap(adapted, gap), names)
    expected = gradients_of(adapted, train, names) @ v
    for sketch in (None, Sketch(dimension=4096, nonzeros=4096 // 64)):
        found = dot_products(adapted, train, gap, sketch=sketch)
        assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_the_module_is_left_as_it_was(model, train, gap):
    model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    dot_products(model, train, gap)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    model.eval()


@pytest.mark.parametrize("batch_size", [4, 64])
def test_the_gap_is_that_of_the_groups_means(model, gap, batch_size):
    with torch.no_grad():
        losses = next_token_loss(model, gap.rows)
    groups = np.array(["x", "y", "z"] * 4)
    means = [float(losses[groups == g].mean()) for g in "xyz"]
    found = GroupLossGap(gap.rows, groups, batch_size=batch_size)(model)
    assert found.item() == pytest.approx(max(means) - min(means), abs=1e-5)


def test_tokens_that_do_not_count_are_left_out(model):
    ids = texts(3)
    mask = torch.ones_like(ids)
    mask[0, 4:] = 0
    labels = ids.clone()
    labels[1, :3] = -100
    with torch.no_grad():
        z = model(ids).logits.log_softmax(dim=2)
        each = -torch.stack([z[:, t, :].gather(1, ids[:, t + 1 : t + 2])[:, 0] for t in range(6)])
        masked = next_token_loss(model, {"input_ids": ids, "attention_mask": mask})
        labelled = next_token_loss(model, {"input_ids": ids, "labels": labels})
    assert float(masked[0]) == pytest.approx(float(each[:3, 0].mean()), rel=1e-4)
    assert float(labelled[1]) == pytest.approx(float(each[2:, 1].mean()), rel=1e-4)


def test_what_is_no_loss_or_metric_is_told(model, train, gap):
    def dot(**more):
        return dot_products(model, train, **({"metrics": gap} | more))

    with pytest.raises(InputError, match=r"one value an example, a tensor of shape \(30,\), got"):
        dot(loss=lambda m, batch: next_token_loss(m, batch).mean())
    with pytest.raises(InputError, match="`metric` must return one finite number"):
        dot(metrics=lambda m: torch.zeros(2))
    with pytest.raises(ValueError, match="`parameters` names 'head', which fits none"):
        dot(parameters=["head"])
    with pytest.raises(ModelError, match="No parameter of the module asks for a gradient"):
        dot_products(language_model().requires_grad_(False), train, gap)
    with pytest.raises(InputError, match="one row an example, got list: tokenize texts first"):
        dot_products(model, ["some", "texts"], gap)
    with pytest.raises(InputError, match="one value for each of 12 examples"):
        GroupLossGap(gap.rows, [0, 1])
    with pytest.raises(InputError, match="at least two groups"):
        GroupLossGap(gap.rows, [1] * 12)
    with pytest.raises(ValueError, match="`dimension` must be a multiple of nonzeros=4"):
        generative.Sketch(dimension=30)
    assert WORDS > LENGTH
