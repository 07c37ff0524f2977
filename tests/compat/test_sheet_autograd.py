"""The summary sheet, "NN": gradients, graphs kept and freed, detached tensors."""

from __future__ import annotations


def test_no_grad(both):
    both("""
        x = torch.randn(3, requires_grad=True)
        print(x.requires_grad)
        print((x ** 2).requires_grad)
        with torch.no_grad():
            print((x ** 2).requires_grad)
        print((x ** 2).requires_grad)
    """)


def test_backward_accumulates_and_frees(both):
    both(
        """
        x = torch.tensor(([1]),dtype = torch.float32,requires_grad=True)
        y = x*2
        y.backward(retain_graph=True)
        print(x.grad)
        y.backward(retain_graph=True)
        print(x.grad)
        y.backward()
        print(x.grad)
        y.backward()
        print(x.grad)
        """,
        raises=1,
    )


def test_a_graph_that_saved_nothing_is_never_used_up(both):
    """`x + 1` needs no saved number, so its second backward is no error."""
    both("""
        x = torch.ones(1, requires_grad=True)
        y = x + 1
        y.backward()
        y.backward()
        print(x.grad)
    """)


def test_retain_graph(both):
    both(
        """
        from torch.autograd import Variable
        a = Variable(torch.rand(1, 4), requires_grad=True)
        b = a**2
        c = b*2
        d = c.mean()
        e = c.sum()
        d.backward(retain_graph=True)
        a.grad
        e.backward(retain_graph=True)
        a.grad
        d.backward()
        a.grad
        e.backward()
        """,
        raises=1,
        rtol=2e-4,
    )


def test_two_losses_one_graph(both):
    both(
        """
        model = nn.Linear(3, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        output = model(torch.ones(4, 3)).tanh()
        loss1 = output[:, 0].mean()
        loss2 = output[:, 1].mean()
        loss1.backward(retain_graph=True)
        loss2.backward()
        optimizer.step()
        model.weight
        model.bias
        loss2.backward()
        """,
        raises=1,
        rtol=2e-4,
    )


def test_detach_cuts_the_graph(both):
    both("""
        x = torch.tensor(([1]),dtype = torch.float32,requires_grad=True)
        y = x**2
        z = 2*y
        w= z**3
        p = z.detach()
        q = torch.tensor(([2]),dtype = torch.float32, requires_grad=True)
        pq = p*q
        pq.backward(retain_graph=True)
        print(x.grad)
        w.backward()
        print(x.grad)
    """)


def test_without_detach_the_gradient_gets_through(both):
    both(
        """
        x = torch.tensor(([1]),dtype = torch.float32,requires_grad=True)
        y = x**2
        z = 2*y
        w= z**3
        p = z
        q = torch.tensor(([2]),dtype = torch.float32, requires_grad=True)
        pq = p*q
        pq.backward(retain_graph=True)
        print(x.grad)
        w.backward()
        print(x.grad)
        """,
    )


def test_detach_data_and_clone(both):
    """detach and data share storage, clone copies and stays in the graph."""
    both(
        """
        x = torch.ones(3, requires_grad=True)
        x.detach().requires_grad, x.data.requires_grad, x.clone().requires_grad
        x.detach().data_ptr() == x.data_ptr(), x.data.data_ptr() == x.data_ptr()
        x.clone().data_ptr() == x.data_ptr()
        x.data[0] = 5
        x
        x.clone()
        x.detach()[1] = 6
        x
        y = x.clone()
        y.sum().backward()
        x.grad
        x[0] = 1
        """,
        raises=1,
    )


def test_detach_reports_a_change_that_backward_needs(both):
    both(
        """
        a = torch.tensor([1., 2., 3.], requires_grad=True)
        out = a.sigmoid()
        c = out.detach()
        c.zero_()
        out
        out.sum().backward()
        """,
        raises=1,
    )


def test_data_hides_a_change(script):
    """Why the sheet says not to use `.data`: no error, and PyTorch's gradient is wrong (zeros).

    Results are immutable here, so the gradient is that of the sigmoid which was computed.
    """
    transcript = script("""
        a = torch.tensor([1., 2., 3.], requires_grad=True)
        out = a.sigmoid()
        out.data.zero_()
        out
        out.sum().backward()
        a.grad
    """)
    assert transcript.errors == []
    assert "tensor([0., 0., 0.], grad_fn=<SigmoidBackward0>)" in transcript.printed
    assert transcript.printed.endswith("tensor([0.1966, 0.1050, 0.0452])\n")


def test_printing_of_results_in_a_graph(both):
    both("""
        x = torch.ones(2, requires_grad=True)
        x
        x + 1
        (x * 2).sum()
        x.detach() + 1
    """)
